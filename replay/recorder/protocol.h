// replay/recorder/ is the parent process: it launches the command, receives frames, owns the run directory. This header
// is the protocol between it and the training program: the one part of this folder that replay/capture may include
// (target samestep_protocol; no HDF5). One protocol for every mode: a session says hello and is told off, record, or
// replay this window from this anchor; it sends each step as it commits; the parent answers.
//
// Frames over a Unix stream socket. Head, 24 bytes little-endian: u32 magic "SSF1", u16 version, u16 type, u64 length
// of the payload (bounded by max_payload), u64 first eight bytes of the payload's BLAKE3. A descriptor (memfd) may
// travel with the head's first byte. Anything else ends the connection with one clear line.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "replay/run/record.h"

namespace samestep::protocol {

inline constexpr std::uint16_t version = 3;
inline constexpr std::size_t head_size = 24;
inline constexpr std::uint64_t max_payload = std::uint64_t{1} << 28;
// A trainer is never more than this many unacknowledged steps ahead (it waits). In a replay it is 1: lockstep, so that
// the tensors of a divergent step are still there to be dumped.
inline constexpr std::uint64_t max_ahead = 8;

// The kind of a notice: an optimizer was freed and another one has begun, so that weights of the same names may be
// another model's.
inline constexpr const char* other_optimizer = "other_optimizer";

// The environment variable by which a launched program finds its recorder: the socket's path.
inline constexpr const char* socket_variable = "SAMESTEP_SOCKET";

enum class Type : std::uint16_t {
  // program -> recorder
  hello = 1,   // JSON: Hello
  start = 2,   // JSON: Start; only where Welcome.ask_start
  layout = 3,  // layout text (replay/run/record.h); before the first step and whenever it changes
  step = 4,    // encoded StepRecord under the last layout
  anchor = 5,  // JSON: StepNumber (S) and a memfd holding a whole safetensors file
  event = 6,   // JSON: Notice
  dump = 7,    // JSON: StepNumber (t) and a memfd holding a safetensors file of the step's tensors
  bye = 8,     // JSON: Bye
  code = 9,    // JSON: Code; after welcome, and once more before bye
  // recorder -> program
  welcome = 64,  // JSON: Welcome, with the anchor's memfd where a replay starts from one
  begin = 65,    // JSON: Begin, the answer to start
  ack = 66,      // JSON: Ack
};

// How a program gets to an anchor when it is replayed. Jump: at the top of its loop the anchor goes in, and the loop
// begins at its step. Fast-forward: it runs from its start without computing, and the anchor goes in at O of the step
// before. Start: not at all, everything is computed (a compiled model's kernels cannot be left out). Either: it
// fast-forwards, and jumps where it is asked to.
enum class Restart : std::uint8_t { jump, fast_forward, start, either };
[[nodiscard]] std::string_view name(Restart restart);

struct Hello {
  std::uint32_t format_version = 1;
  std::int64_t pid = 0;
  std::uint32_t rank = 0;
  std::uint32_t world_size = 1;
  std::string program;  // argv[0] or the script
  Restart restart = Restart::jump;
  nlohmann::json environment = nlohmann::json::object();  // lane `environment` (docs/format.md): effective values
  std::vector<std::string> files;                         // mapped shared objects and the program: to be digested
};

enum class Mode : std::uint8_t { off, record, replay };

// The lane `hyper` of a recorded step, by the columns' names.
using HyperValues = std::map<std::string, double>;

inline constexpr std::size_t max_read_steps = 10'000;

struct Welcome {
  Mode mode = Mode::off;
  std::string refusal;             // mode off: why, in one line, where the program should say so; else empty
  std::uint32_t rank = 0;          // the one that this session goes by: that of its hello, or the next free one
  bool ask_start = false;          // send Start with the first step's weights_in and wait for begin
  std::uint64_t first_step = 0;    // number of the first step to run
  std::uint64_t from = 0, to = 0;  // replay: steps from <= t < to are asked for; first_step = the anchor's S
  bool has_anchor = false;         // the frame carries the anchor to restore before first_step
  // Replay from an anchor: the first step of the recorded process. A program that cannot jump is taken from there to
  // first_step without computing (fast-forward), and `host_reads` are what it read out of tensors in that step.
  std::uint64_t session_first_step = 0;
  std::vector<std::uint64_t> host_reads;
  bool jump = false;                 // to a program that could do either: jump
  bool pin_rng = false;              // at the first F put in the generators' states of the anchor once more
  std::optional<HyperValues> hyper;  // pinned: what the first step's options are to be
  // replay: steps at whose O the recording read all that an anchor holds; in order. At most max_read_steps.
  std::vector<std::uint64_t> read_steps;
  std::uint64_t anchor_every = 0;          // record: cut an anchor at S divisible by this; 0: only when an ack asks
  std::optional<std::uint64_t> dump_step;  // replay: keep this step's tensors (weights_in too) and send them at O
  bool lockstep = false;                   // wait for each step's ack
};

struct Start {
  Digest weights_in;                   // the lane's digest at the first F
  std::optional<Digest> optimizer_in;  // the lane `optimizer` as it would be before the first update; nullopt: no state
};

struct Ack {
  // go_on; dump: send this step's tensors; stop: end the training here (replay). off: the recorder can keep nothing
  // more (disk full) and has said so: train on and send nothing; `step` is then the last one kept, or no_step where
  // none was, and the recorder closes the connection.
  enum class Answer : std::uint8_t { go_on, dump, stop, off };
  static constexpr std::uint64_t no_step = ~std::uint64_t{0};
  std::uint64_t step = 0;  // this step and all before it are on disk (flushed)
  Answer answer = Answer::go_on;
  bool cut_anchor = false;                  // please cut an anchor at the next O
  std::vector<std::uint64_t> host_reads{};  // fast-forward: those recorded of the step after `step`
  std::optional<HyperValues> hyper{};       // pinned: those of the step after `step`
};

// The small messages. `event` carries a Notice, `anchor` and `dump` a StepNumber.
struct Begin {
  std::uint64_t first_step = 0;
};
struct StepNumber {
  std::uint64_t step = 0;  // anchor: S, after S updates. dump: t
};
struct Bye {
  std::string how = "closed";  // how the segment ended, as the manifest says it
  std::uint64_t steps = 0;     // that this session has sent
};
// The code that a program has loaded, beyond the files of its hello. Names and paths only: the recorder reads the
// files.
struct Code {
  static constexpr std::size_t max_files = 100'000, max_folders = 256, max_path = 4096;
  std::string moment;                                        // "start" (the first training event) or "end"
  std::string script;                                        // the program's main file; empty where there is none
  std::vector<std::pair<std::string, std::string>> modules;  // imported modules: name, path
  std::vector<std::string> libraries;                        // mapped shared objects
  std::vector<std::string> search_path;                      // folders where installed distributions may lie
};
struct Notice {
  std::string kind;  // see Event in replay/run/manifest.h
  std::optional<std::uint64_t> step;
  std::string tensor;  // empty where none
  std::string text;    // one sentence
};

// JSON of each message and back; from_json throws BrokenInput where a field is missing or of the wrong type.
[[nodiscard]] std::string encode(const Hello& message);
[[nodiscard]] std::string encode(const Welcome& message);
[[nodiscard]] std::string encode(const Start& message);
[[nodiscard]] std::string encode(const Ack& message);
[[nodiscard]] std::string encode(const Begin& message);
[[nodiscard]] std::string encode(const StepNumber& message);
[[nodiscard]] std::string encode(const Bye& message);
[[nodiscard]] std::string encode(const Notice& message);
[[nodiscard]] std::string encode(const Code& message);
[[nodiscard]] Hello decode_hello(std::string_view json);
[[nodiscard]] Welcome decode_welcome(std::string_view json);
[[nodiscard]] Start decode_start(std::string_view json);
[[nodiscard]] Ack decode_ack(std::string_view json);
[[nodiscard]] Begin decode_begin(std::string_view json);
[[nodiscard]] StepNumber decode_step_number(std::string_view json);
[[nodiscard]] Bye decode_bye(std::string_view json);
[[nodiscard]] Notice decode_notice(std::string_view json);
// Throws for more files or longer paths than Code allows, too.
[[nodiscard]] Code decode_code(std::string_view json);

struct Frame {
  Type type = Type::hello;
  std::vector<std::byte> payload;
  int descriptor = -1;  // owned by the receiver; -1 where none came
  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(payload.data()), payload.size()};
  }
};

// Puts frames together from whatever pieces a socket yields. Owns the descriptors it has received but not handed out.
// Memory grows with the bytes that really came, never with the length that a head claims.
class FrameReader {
 public:
  FrameReader() = default;
  ~FrameReader();
  FrameReader(FrameReader&& other) noexcept;
  FrameReader& operator=(FrameReader&& other) noexcept;

  enum class Progress : std::uint8_t { complete, would_block, ended };
  // Reads from `socket` until a frame is complete, no more bytes are there (it never waits), or the peer has gone (a
  // frame it left unfinished is dropped). Throws BrokenInput for bytes that are not a frame: wrong magic, version,
  // unknown type, length, checksum, more than one descriptor or one that came elsewhere than with the head.
  [[nodiscard]] Progress read(int socket);
  // The complete frame; once after each `complete`.
  [[nodiscard]] Frame take();

 private:
  [[nodiscard]] std::span<std::byte> room();
  void keep_descriptors(struct msghdr& message);
  void check_head();
  void check_payload() const;

  std::array<std::byte, head_size> head_{};
  std::size_t received_ = 0;  // bytes of head and payload so far
  std::uint64_t length_ = 0;  // of the payload, once the head is complete
  Frame frame_;
};

// One end of a connection: owns the socket. Blocking; a peer that goes away is an end, not an exception.
class Connection {
 public:
  explicit Connection(int socket);
  ~Connection();
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;

  // Connects to a recorder's socket; nullopt where nobody listens.
  [[nodiscard]] static std::optional<Connection> connect(const std::string& path);

  // False where the peer has gone. `descriptor`, if not -1, is duplicated to the peer and stays the caller's.
  [[nodiscard]] bool send(Type type, std::span<const std::byte> payload, int descriptor = -1);
  [[nodiscard]] bool send(Type type, std::string_view payload, int descriptor = -1);
  // The next frame; nullopt where the peer has gone, or where it was not complete within `timeout` (see timed_out();
  // what had come of it is kept for the next call).
  // Throws BrokenInput for a frame that is not valid.
  [[nodiscard]] std::optional<Frame> receive(std::optional<std::chrono::milliseconds> timeout = std::nullopt);
  [[nodiscard]] bool timed_out() const { return timed_out_; }
  [[nodiscard]] int socket() const { return socket_; }

 private:
  int socket_ = -1;
  bool timed_out_ = false;
  FrameReader reader_;
};

}  // namespace samestep::protocol

// The sink that records: writes each client's steps into a run directory, keeps its anchors, tells what is worth
// telling. Whatever goes wrong with the disk ends the recording, never the training: it is said once, the clients are
// told to train on, and what was written stays valid.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replay/recorder/continuation.h"
#include "replay/recorder/file_listener.h"
#include "replay/recorder/launch.h"
#include "replay/recorder/seeds.h"
#include "replay/recorder/sink.h"
#include "replay/recorder/terminal.h"

namespace samestep {

struct RecordOptions {
  std::vector<std::string> argv;
  std::filesystem::path cwd;  // of the command; absolute
  std::filesystem::path run;  // empty: samestep-runs/<UTC time>-<program> under cwd
  bool continue_run = false;  // add to `run`, which exists
  int attached = 0;           // N: argv runs already, and is told where to connect (attached.h), for its N-th recording
  std::uint64_t anchor_every = 0;
  double anchor_share = 0.01;                  // of the run's time that anchors may cost, without `anchor_every`
  std::optional<std::uint64_t> anchor_budget;  // bytes
  std::uint64_t detail_every = 1;
  std::uint64_t log_budget = std::uint64_t{1} << 30;  // bytes of a rank's logs; said once when passed
  bool fresh_digests = false;
  std::uint64_t stop_after = 0;  // stop the program when so many steps are recorded, as a replay does; 0: never
  // Where the first session of a rank of a new run begins; empty: at step 0. Called in the sink's thread; what it
  // throws of BrokenInput begins it at step 0, too.
  std::function<Continuation(std::uint32_t rank, const protocol::Start&)> go_on = {};
  std::optional<std::string> secret = {};  // of another run, to be given what that one was; else it draws its own
  bool watch_files = true;                 // which files the program reads and writes
  std::uint64_t input_budget = std::uint64_t{1} << 30;  // bytes of copies of files that it changes
};

class RunRecorder : public Sink {
 public:
  // Makes (or takes up) the run directory and writes its manifest; says nothing yet. Throws BrokenInput where that
  // cannot be done: nothing is lost then, the command has not been started.
  explicit RunRecorder(const RecordOptions& options, Terminal& terminal);
  ~RunRecorder() override;

  [[nodiscard]] const std::filesystem::path& run() const;
  // The pins, as changes to the command's environment.
  [[nodiscard]] EnvironmentChanges environment() const;
  // Hears what the program's files are told of; null where they are not watched.
  [[nodiscard]] FileSink* files() const;
  // The first line: where the recording goes, and what is pinned.
  void announce() const;
  // What the command's processes seeded themselves with goes into the manifest when it closes.
  void keep(std::vector<Seed> seeds);
  // After the server has finished: how the command ended goes into the manifest, digests and anchors are waited for,
  // the last line is said.
  void close(const Ending& ending);

  Greeting on_hello(const Client& client) override;
  std::uint64_t on_start(const Client& client, const protocol::Start& start) override;
  void on_layout(const Client& client, const Layout& layout) override;
  protocol::Ack on_step(const Client& client, StepRecord&& record) override;
  void on_anchor(const Client& client, std::uint64_t step, Descriptor file) override;
  void on_dump(const Client& client, std::uint64_t step, Descriptor file) override;
  void on_event(const Client& client, const protocol::Notice& notice) override;
  void on_code(const Client& client, const protocol::Code& code) override;
  void on_gone(const Client& client) override;
  void on_end(const Client& client, const ClientEnd& end) override;
  void on_tick() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace samestep

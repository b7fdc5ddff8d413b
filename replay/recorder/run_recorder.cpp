#include "replay/recorder/run_recorder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/random.h>
#include <sys/vfs.h>

#include <algorithm>
#include <map>
#include <utility>

#include "replay/recorder/anchor_keeper.h"
#include "replay/recorder/continuation.h"
#include "replay/recorder/file_digests.h"
#include "replay/recorder/observations.h"
#include "replay/recorder/provenance.h"
#include "replay/recorder/run_directory.h"
#include "replay/recorder/session_log.h"
#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/run_files.h"
#include "replay/run/run_reader.h"

namespace samestep {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds digest_patience{60};
constexpr std::uint64_t thinned_detail = 16;
constexpr std::size_t most_tensors_named = 3;

std::string new_run_id() {
  std::array<unsigned char, format::run_id_length / 2> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    throw BrokenInput("Naming the run: the kernel gives no random bytes.");
  return fmt::format("{:02x}", fmt::join(bytes, ""));
}

fs::path make_run(const RecordOptions& options) {
  if (options.run.empty()) return make_default_run(options.cwd, options.argv.front(), utc_now_ns());
  if (!options.continue_run) make_named_run(options.run);
  return fs::absolute(options.run).lexically_normal();
}

// As the user would type it.
std::string shown(const fs::path& path) {
  std::error_code error;
  const fs::path near = fs::relative(path, error);
  return error || near.empty() || near.native().starts_with("..") ? path.string() : near.string();
}

bool is_on_nfs(const fs::path& path) {
  constexpr long nfs_magic = 0x6969;
  struct statfs info {};
  return ::statfs(path.c_str(), &info) == 0 && info.f_type == nfs_magic;
}

std::string human(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value >= 1e9) return fmt::format("{:.1f} GB", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.1f} MB", value / 1e6);
  if (value >= 1e3) return fmt::format("{:.1f} kB", value / 1e3);
  return fmt::format("{} bytes", bytes);
}

std::uint64_t bytes_of(const Column& column) {
  std::uint64_t elements = 1;
  if (column.shape)
    for (const std::int64_t extent : *column.shape)
      elements *= static_cast<std::uint64_t>(std::max<std::int64_t>(0, extent));
  return elements * element_size(column.dtype);
}

// Weights, buffers and the optimizer's state; the rest is small.
std::uint64_t anchor_bytes(const Layout& layout) {
  std::uint64_t bytes = 0;
  for (const Lane lane : {Lane::weights_out, Lane::optimizer})
    for (const Column& column : layout.of(lane)) bytes += bytes_of(column);
  return bytes;
}

std::string named(const std::vector<std::string>& tensors) {
  const std::size_t count = std::min(tensors.size(), most_tensors_named);
  std::string text =
      fmt::format("{}", fmt::join(tensors.begin(), tensors.begin() + static_cast<std::ptrdiff_t>(count), ", "));
  if (tensors.size() > count) text += fmt::format(" and {} more", tensors.size() - count);
  return text;
}

const char* kind_of(const std::string& end) {
  if (end.starts_with("refused")) return "refused";
  return end.starts_with("killed") ? "kill" : "ended";
}

// What follows from here on can only fail for reasons of our own.
void check_client(const StepRecord& record, std::uint64_t due) {
  if (record.step != due) throw BrokenClient(fmt::format("step {} came where step {} was due", record.step, due));
  if (!SegmentWriter::any_has_room_for(record))
    throw BrokenClient(fmt::format("step {} has more tensors in a list than a log can hold", record.step));
}

// One training process's session.
struct Session {
  std::uint32_t rank = 0;
  SessionLog log;
  Continuity continuity{};
  Pace pace{};
  std::shared_ptr<const StepSource> overlap{};  // an earlier recording of the steps to come, until they part
  bool gone = false;                            // nothing more will come; how it ended is not known yet
};

}  // namespace

struct RunRecorder::State {
  State(const RecordOptions& given, Terminal& to);

  // --- the run
  [[nodiscard]] Manifest first_manifest() const;
  void take_up_earlier_ranks(Manifest& manifest);
  void take_up_rank(Manifest& manifest, std::uint32_t rank);
  void digest_ended_logs();
  void renew_quietly();

  // --- sessions
  [[nodiscard]] std::uint32_t free_rank(std::uint32_t asked) const;
  [[nodiscard]] nlohmann::json process_of(const Client& client) const;
  void tell(std::uint32_t rank, const std::string& kind, std::optional<std::uint64_t> step, const std::string& text,
            const std::string& tensor = "");
  void observe(Session& session, const StepRecord& record);
  void compare_overlap(Session& session, const StepRecord& record);
  void mind_log_budget(Session& session);
  void fail(Session& session, const std::string& why);

  // --- what is said
  [[nodiscard]] std::string last_line(std::uint64_t steps) const;
  [[nodiscard]] std::string events_line() const;

  RecordOptions options;
  Terminal& terminal;
  bool made_here;
  fs::path run;
  RunLock lock;
  std::vector<Pin> pins;
  std::map<std::uint32_t, RankState> ranks;
  std::map<std::uint64_t, Session> sessions;  // by client number
  bool someone_connected = false;
  std::uint64_t steps = 0;
  std::string failure;
  ManifestKeeper manifest;
  AnchorKeeper anchors;
  FileDigests files;
  Worker renewals{[this](const std::string& what) {
    terminal.say_once(fmt::format("Renewing the manifest: {}. The training goes on.", what));
  }};
};

RunRecorder::State::State(const RecordOptions& given, Terminal& to)
    : options(given),
      terminal(to),
      made_here(!given.continue_run),
      run(make_run(given)),
      lock(run),
      pins(pins_for_recording(current_environment(), given.argv)),
      manifest(run, first_manifest()),
      anchors(run, manifest.copy().run_id,
              {given.anchor_every, given.anchor_share, given.anchor_budget.value_or(default_anchor_budget(run))},
              manifest, terminal),
      files(given.fresh_digests ? fs::path() : FileDigests::default_cache()) {
  manifest.change([&](Manifest& now) { take_up_earlier_ranks(now); });
  manifest.renew();
  for (const NamedFile& file : files_of_command(options.argv, options.cwd)) files.add(file.path, file.role);
}

Manifest RunRecorder::State::first_manifest() const {
  nlohmann::json what = describe_run(options.argv, options.cwd, pins);
  what["settings"] = {{"anchor_every", options.anchor_every},
                      {"anchor_budget", options.anchor_budget.value_or(default_anchor_budget(run))},
                      {"detail_every", options.detail_every},
                      {"fresh_digests", options.fresh_digests}};
  if (made_here) {
    Manifest fresh;
    fresh.run_id = new_run_id();
    fresh.what = std::move(what);
    return fresh;
  }
  Manifest earlier = read_manifest(run);
  // Whether a segment that is "running" still runs is asked of the recorder that wrote last.
  for (const char* field : {"process", "boot_id", "host"}) earlier.what[field] = what[field];
  what["segments_before"] = earlier.segments.size();
  earlier.what["continued"].push_back(std::move(what));
  return earlier;
}

void RunRecorder::State::take_up_earlier_ranks(Manifest& earlier) {
  std::set<std::uint32_t> known;
  for (const SegmentEntry& segment : earlier.segments) known.insert(segment.rank);
  for (const std::uint32_t rank : known) take_up_rank(earlier, rank);
}

// A recorder that was killed could not write down how its last segment ended.
void RunRecorder::State::take_up_rank(Manifest& earlier, std::uint32_t rank) {
  const RunReader reader(run, rank);
  const SegmentHeader next = reader.next_segment(reader.end_step());
  RankState& state = ranks[rank];
  state = {next.number, reader.end_step(), next.chain_before, next.log_chain_before, 0};
  for (SegmentEntry& segment : earlier.segments) {
    // What a disk held that failed in the middle of a step was not known then.
    if (segment.rank != rank || segment.file.empty() || segment.chain) continue;
    if (segment.ended == "running") segment.ended = "lost";
    const RunReader::SegmentEnd end = reader.end_of_segment(segment.number);
    segment.steps = end.steps;
    segment.chain = end.chain;
    segment.log_chain = end.log_chain;
  }
}

void RunRecorder::State::digest_ended_logs() {
  for (const SegmentEntry& segment : manifest.copy().segments) {
    if (segment.digest || !segment.chain || segment.ended == "running") continue;
    // Read, not mapped: a log has holes, and a mapped hole on a full disk is a bus error.
    const Digest digest_of_file = file_digest(run / segment.file);
    manifest.change([&](Manifest& now) {
      for (SegmentEntry& entry : now.segments)
        if (entry.rank == segment.rank && entry.number == segment.number) entry.digest = digest_of_file;
    });
  }
}

void RunRecorder::State::renew_quietly() {
  try {
    manifest.renew();
  } catch (const BrokenInput& error) {
    terminal.say_once(fmt::format("{} The training goes on.", error.what()));
  }
}

std::uint32_t RunRecorder::State::free_rank(std::uint32_t asked) const {
  const auto taken = [&](std::uint32_t rank) {
    return std::ranges::any_of(sessions,
                               [&](const auto& entry) { return entry.second.rank == rank && !entry.second.gone; });
  };
  while (taken(asked)) ++asked;
  return asked;
}

nlohmann::json RunRecorder::State::process_of(const Client& client) const {
  return {{"pid", client.pid},
          {"pid_inside", client.hello.pid},
          {"program", client.hello.program},
          {"rank_asked", client.hello.rank},
          {"world_size", client.hello.world_size}};
}

void RunRecorder::State::tell(std::uint32_t rank, const std::string& kind, std::optional<std::uint64_t> step,
                              const std::string& text, const std::string& tensor) {
  manifest.add({utc_now_ns(), rank, kind, step, tensor, text});
}

void RunRecorder::State::observe(Session& session, const StepRecord& record) {
  if (const auto changed = session.continuity.observe(record); !changed.empty())
    tell(session.rank, "state_edited", record.step,
         fmt::format("Between steps {} and {} something changed {}.", static_cast<std::int64_t>(record.step) - 1,
                     record.step, named(changed)),
         changed.front());
  if (const auto slow = session.pace.observe(record.timing, utc_now_ns())) {
    const char* kind = slow->between_steps ? "gap" : "slow_step";
    const char* where = slow->between_steps ? "most of it before its forward pass" : "most of it inside the step";
    tell(session.rank, kind, record.step,
         fmt::format("Step {} took {:.3g} s where {:.3g} s is usual, {}.", record.step, slow->seconds,
                     slow->usual_seconds, where));
  }
}

void RunRecorder::State::compare_overlap(Session& session, const StepRecord& record) {
  if (!session.overlap) return;
  try {
    const bool there = record.step < session.overlap->end_step();
    if (there && session.overlap->chain(record.step) == record.chain) return;
    session.overlap.reset();
    if (!there) return;
  } catch (const BrokenInput&) {  // what cannot be read cannot be compared
    session.overlap.reset();
    return;
  }
  tell(session.rank, "resume", record.step,
       fmt::format("Step {} is the first that differs from the earlier recording of the same steps.", record.step));
}

void RunRecorder::State::mind_log_budget(Session& session) {
  if (session.log.detail_every() >= thinned_detail || session.log.bytes() <= options.log_budget) return;
  terminal.say_once(
      fmt::format("the log has passed {}: from here on every {}th step keeps per-tensor detail "
                  "(--detail-every chooses it from the start; a replay regenerates the rest)",
                  human(options.log_budget), thinned_detail));
  session.log.thin(thinned_detail);
}

void RunRecorder::State::fail(Session& session, const std::string& why) {
  if (failure.empty()) {
    failure = why;
    terminal.say(fmt::format("{} The recording ends here; the training goes on.", why));
    tell(session.rank, "error", session.log.next_step(), why);
  }
  session.log.end("lost: " + why);
  renew_quietly();
}

std::string RunRecorder::State::events_line() const {
  std::vector<std::string> parts;
  for (const auto& [kind, count] : manifest.event_counts())
    if (kind != "error")  // said when it happened
      parts.push_back(fmt::format("{} {} (first: {})", count, kind, manifest.first_event_text(kind)));
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string RunRecorder::State::last_line(std::uint64_t recorded) const {
  const std::string path = shown(run);
  if (recorded == 0) {
    const char* why = someone_connected ? "the command connected and made no step"
                                        : "the command never connected: is it linked with samestep?";
    return fmt::format("recorded 0 steps in {}; {}", path, why);
  }
  std::uint64_t log_bytes = 0;
  for (const auto& [rank, state] : ranks) log_bytes += state.bytes;
  std::string text =
      fmt::format("recorded {} steps in {} ({}, {} a step), chain {}", recorded, path, human(bytes_of_run(run)),
                  human(log_bytes / recorded), ranks.begin()->second.chain.hex().substr(0, 16));
  if (!failure.empty()) text += "; then the recording failed";
  return text + fmt::format("; next: samestep replay {}", path);
}

// --- RunRecorder ------------------------------------------------------------------------------------------------

RunRecorder::RunRecorder(const RecordOptions& options, Terminal& terminal)
    : state_(std::make_unique<State>(options, terminal)) {}

RunRecorder::~RunRecorder() = default;

const fs::path& RunRecorder::run() const {
  return state_->run;
}

EnvironmentChanges RunRecorder::environment() const {
  return changes_for(state_->pins, current_environment());
}

void RunRecorder::announce() const {
  std::vector<std::string> words;
  for (const Pin& pin : state_->pins)
    if (pin.by == "samestep") words.push_back(pin.name + "=" + *pin.value);
  state_->terminal.say(fmt::format("recording to {} with {}", shown(state_->run), fmt::join(words, " ")));
  if (is_on_nfs(state_->run))
    state_->terminal.say("the run lies on NFS, where reading it while it grows is not promised to work");
}

void RunRecorder::close(const Ending& ending) {
  State& state = *state_;
  for (auto& [number, session] : state.sessions) session.log.end("lost");
  state.sessions.clear();
  state.anchors.finish();
  state.renewals.finish();
  nlohmann::json files = nlohmann::json::array();
  for (const FileDigest& file : state.files.finish(digest_patience)) files.push_back(to_json(file));
  state.manifest.change([&](Manifest& now) {
    auto& what = state.made_here ? now.what : now.what["continued"].back();
    what["files"] = std::move(files);
    what["ended_ns"] = utc_now_ns();
    what["command_ended"] = ending.text();
  });
  try {
    state.digest_ended_logs();
  } catch (const BrokenInput& error) {
    state.terminal.say_once(error.what());
  }
  state.renew_quietly();
  if (ending.kind == Ending::Kind::not_started) {
    // Nothing ran: a folder for it would only be in the way. Only our own manifest is in it.
    std::error_code ignored;
    if (state.made_here && fs::remove(state.run / format::manifest_file, ignored)) fs::remove(state.run, ignored);
    state.terminal.say(ending.error);
    return;
  }
  if (const std::string events = state.events_line(); !events.empty()) state.terminal.say("events: " + events);
  state.terminal.say(state.last_line(state.steps));
}

Greeting RunRecorder::on_hello(const Client& client) {
  State& state = *state_;
  state.someone_connected = true;
  Greeting greeting;
  if (!state.failure.empty()) return greeting;  // off; why has been said
  for (const std::string& file : client.hello.files) state.files.add(file, "library");
  const std::uint32_t rank = state.free_rank(client.hello.rank);
  if (rank != client.hello.rank)
    state.tell(rank, "rank", std::nullopt,
               fmt::format("Process {} says it is rank {}, as another one does; it is recorded as rank {}.", client.pid,
                           client.hello.rank, rank));
  RankState& rank_state = state.ranks[rank];
  state.anchors.begin(rank);
  greeting.welcome.mode = protocol::Mode::record;
  greeting.welcome.first_step = rank_state.end_step;
  greeting.welcome.ask_start = rank_state.end_step > 0;
  greeting.welcome.anchor_every = state.options.anchor_every;
  SessionLog log({state.run, state.manifest.copy().run_id, state.options.detail_every}, rank, rank_state,
                 state.manifest, state.process_of(client), client.hello.environment);
  state.sessions.emplace(client.number, Session{rank, std::move(log)});
  return greeting;
}

std::uint64_t RunRecorder::on_start(const Client& client, const protocol::Start& start) {
  State& state = *state_;
  Session& session = state.sessions.at(client.number);
  Continuation found;
  try {
    state.manifest.renew();
    found = continue_run(state.run, session.rank, start.weights_in);
  } catch (const BrokenInput& error) {
    const RankState& rank = state.ranks[session.rank];
    found = {rank.end_step, rank.chain, nullptr,
             fmt::format("What was recorded before cannot be read: {}", error.what())};
  }
  session.log.set_start(found.first_step, found.chain_before);
  session.overlap = std::move(found.overlap);
  state.tell(session.rank, "resume", found.first_step, "A new session. " + found.text);
  return found.first_step;
}

void RunRecorder::on_layout(const Client& client, const Layout& layout) {
  if (encode(layout).size() > format::max_layout_bytes) throw BrokenClient("its table of tensors is too large");
  Session& session = state_->sessions.at(client.number);
  session.log.set_layout(layout);
  session.continuity.begin(layout);
  state_->anchors.expect(session.rank, anchor_bytes(layout));
}

protocol::Ack RunRecorder::on_step(const Client& client, StepRecord&& record) {
  State& state = *state_;
  Session& session = state.sessions.at(client.number);
  const std::uint64_t before = session.log.next_step();
  const protocol::Ack off{before == 0 ? protocol::Ack::no_step : before - 1, protocol::Ack::Answer::off, false};
  if (!state.failure.empty()) return off;
  check_client(record, before);
  state.observe(session, record);
  record.timing.rank = session.rank;
  const bool anchor = state.anchors.may_follow(session.rank, record.step);
  try {
    session.log.append(record, anchor ? Detail::keep : Detail::scheduled);
  } catch (const BrokenInput& error) {
    state.fail(session, error.what());
    return off;
  }
  ++state.steps;
  state.compare_overlap(session, record);
  state.mind_log_budget(session);
  return {record.step, protocol::Ack::Answer::go_on, state.anchors.ask(session.rank)};
}

void RunRecorder::on_anchor(const Client& client, std::uint64_t step, Descriptor file) {
  State& state = *state_;
  const Session& session = state.sessions.at(client.number);
  if (!state.failure.empty()) return;
  const auto segment = step == 0 ? std::nullopt : session.log.segment_of(step - 1);
  if (!segment) return state.tell(session.rank, "anchor", step, "An anchor came of a step that was not recorded.");
  state.anchors.keep(session.rank, *segment, step, std::move(file));
}

void RunRecorder::on_dump(const Client&, std::uint64_t, Descriptor) {}

void RunRecorder::on_event(const Client& client, const protocol::Notice& notice) {
  state_->tell(state_->sessions.at(client.number).rank, notice.kind, notice.step, notice.text, notice.tensor);
}

void RunRecorder::on_gone(const Client& client) {
  const auto found = state_->sessions.find(client.number);
  if (found == state_->sessions.end()) return;
  found->second.log.leave();
  found->second.gone = true;
}

void RunRecorder::on_end(const Client& client, const ClientEnd& end) {
  State& state = *state_;
  const auto found = state.sessions.find(client.number);
  if (found == state.sessions.end()) return;
  Session& session = found->second;
  const std::uint64_t next = session.log.next_step();
  if (!end.said_bye && state.failure.empty())
    state.tell(
        session.rank, kind_of(end.how), next,
        fmt::format("Process {} ended without saying so ({}) before step {} was complete.", client.pid, end.how, next));
  if (end.how.starts_with("refused")) state.terminal.say(fmt::format("process {}: {}", client.pid, end.how));
  session.log.end(end.how);
  state.sessions.erase(found);
  state.renew_quietly();
}

void RunRecorder::on_tick() {
  if (!state_->manifest.is_renewed()) state_->renewals.add([this] { state_->renew_quietly(); });
}

}  // namespace samestep

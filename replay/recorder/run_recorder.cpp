#include "replay/recorder/run_recorder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/vfs.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "replay/recorder/anchor_keeper.h"
#include "replay/recorder/closing_words.h"
#include "replay/recorder/command_words.h"
#include "replay/recorder/continuation.h"
#include "replay/recorder/earlier_ranks.h"
#include "replay/recorder/file_digests.h"
#include "replay/recorder/file_record.h"
#include "replay/recorder/program_code.h"
#include "replay/recorder/provenance.h"
#include "replay/recorder/run_directory.h"
#include "replay/recorder/session.h"
#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/utc.h"

namespace samestep {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds digest_patience{60};
constexpr std::uint64_t thinned_detail = 16;

fs::path make_run(const RecordOptions& options) {
  if (options.run.empty()) return make_default_run(options.cwd, program_name(options.argv), utc_now_ns());
  if (!options.continue_run) make_named_run(options.run);
  return fs::absolute(options.run).lexically_normal();
}

bool is_on_nfs(const fs::path& path) {
  constexpr long nfs_magic = 0x6969;
  struct statfs info {};
  return ::statfs(path.c_str(), &info) == 0 && info.f_type == nfs_magic;
}

// Only a program that replays can be stopped: it is told that it replays the first steps.
void ask_to_stop(protocol::Welcome& welcome, std::uint64_t steps) {
  welcome.mode = protocol::Mode::replay;
  welcome.to = steps;
  welcome.lockstep = true;
}

const char* kind_of(const std::string& end) {
  if (end.starts_with("refused")) return "refused";
  return end.starts_with("killed") ? "kill" : "ended";
}

// Program, libraries and modules are read as well; what is known of them stands in `files`.
nlohmann::json without(nlohmann::json reads, const nlohmann::json& files) {
  std::set<std::string> listed;
  for (const nlohmann::json& file : files) listed.insert(file["path"].get<std::string>());
  nlohmann::json others = nlohmann::json::array();
  for (nlohmann::json& file : reads["files"])
    if (!listed.contains(file["path"].get<std::string>())) others.push_back(std::move(file));
  reads["files"] = std::move(others);
  return reads;
}

std::vector<Pin> pins_for(const RecordOptions& options) {
  Environment environment = current_environment();
  if (options.secret) environment[format::entropy_variable] = *options.secret;
  auto pins = pins_for_recording(environment, options.argv);
  return options.attached != 0 ? pins_of_a_running_program(std::move(pins)) : pins;
}

}  // namespace

struct RunRecorder::State {
  State(const RecordOptions& given, Terminal& to);

  // --- the run
  [[nodiscard]] Manifest first_manifest() const;
  void renew_quietly();
  [[nodiscard]] nlohmann::json revision() const;  // of this session
  // What ran, read and wrote, into the session's part of the manifest.
  void keep_files();
  // What it wrote so far: a recorder that is killed leaves folders which a replay can put back.
  void keep_writes();
  void enter(const nlohmann::json& part);  // into the session's part of the manifest

  // --- sessions
  [[nodiscard]] std::uint32_t free_rank(std::uint32_t asked) const;
  [[nodiscard]] nlohmann::json process_of(const Client& client) const;
  void mind_log_budget(Session& session);
  void mind_unseen(const Client& client);
  void fail(Session& session, const std::string& why);
  [[nodiscard]] std::string gone() const;  // what the manifest names and somebody has removed; empty where nothing is
  [[nodiscard]] Recorded recorded() const;

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
  std::vector<Seed> seeds;
  ManifestKeeper manifest;
  AnchorKeeper anchors;
  FileDigests files;
  ProgramCode code;
  std::optional<FileRecord> file_record;
  std::set<std::string> unseen;  // programs whose files nobody told of
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
      pins(pins_for(given)),
      manifest(run, first_manifest()),
      anchors(run, manifest.copy().run_id,
              {given.anchor_every, given.anchor_share, given.anchor_budget.value_or(default_anchor_budget(run))},
              manifest, terminal),
      files(given.fresh_digests ? fs::path() : FileDigests::default_cache()),
      code(files, given.fresh_digests ? fs::path() : ProgramCode::default_cache()) {
  manifest.change([&](Manifest& now) { ranks = take_up_earlier_ranks(run, now); });
  manifest.renew();
  if (options.watch_files) file_record.emplace(run, options.input_budget, files);
  for (const NamedFile& file : files_of_command(options.argv, options.cwd)) files.add(file.path, file.role);
}

Manifest RunRecorder::State::first_manifest() const {
  nlohmann::json what = describe_run(options.argv, options.cwd, pins);
  what["revision"] = describe_revision(options.cwd);
  what["settings"] = {{"anchor_every", options.anchor_every},
                      {"anchor_budget", options.anchor_budget.value_or(default_anchor_budget(run))},
                      {"detail_every", options.detail_every},
                      {"fresh_digests", options.fresh_digests}};
  if (options.attached != 0) {
    what["settings"]["attached"] = options.attached;
    what.erase("standard_input");  // it is how the program ends the recording
  }
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

void RunRecorder::State::renew_quietly() {
  try {
    manifest.renew();
  } catch (const BrokenInput& error) {
    terminal.say_once(fmt::format("{} The training goes on.", error.what()));
  }
}

nlohmann::json RunRecorder::State::revision() const {
  const Manifest now = manifest.copy();
  const nlohmann::json& what = made_here ? now.what : now.what["continued"].back();
  return what.value("revision", nlohmann::json());
}

void RunRecorder::State::keep_files() {
  if (file_record) file_record->settle();
  code.settle();
  const std::vector<FileDigest> digests = files.finish(digest_patience);
  nlohmann::json found{{"revision", revision()}};
  code.describe(found, digests, digest_patience);
  for (const std::string& text : changed_packages(found))
    manifest.add({utc_now_ns(), 0, "changed_package", std::nullopt, "", text});
  enter(found);
  if (!file_record) return;
  enter({{"reads", without(file_record->reads(digests), found["files"])}, {"unseen", unseen}});
  keep_writes();  // may throw, where a copy cannot be read
}

void RunRecorder::State::keep_writes() {
  if (file_record) enter({{"writes", file_record->writes()}});
}

void RunRecorder::State::enter(const nlohmann::json& part) {
  manifest.change([&](Manifest& now) { (made_here ? now.what : now.what["continued"].back()).update(part); });
}

std::uint32_t RunRecorder::State::free_rank(std::uint32_t asked) const {
  return next_free_rank(asked, [&](std::uint32_t rank) {
    return std::ranges::any_of(
        sessions, [&](const auto& entry) { return entry.second.rank() == rank && !entry.second.is_gone(); });
  });
}

nlohmann::json RunRecorder::State::process_of(const Client& client) const {
  return {{"pid", client.pid},
          {"pid_inside", client.hello.pid},
          {"program", client.hello.program},
          {"restart", name(client.hello.restart)},
          {"rank_asked", client.hello.rank},
          {"world_size", client.hello.world_size}};
}

void RunRecorder::State::mind_log_budget(Session& session) {
  if (session.log().detail_every() >= thinned_detail || session.log().bytes() <= options.log_budget) return;
  terminal.say_once(
      fmt::format("the log has passed {}: from here on every {}th step keeps per-tensor detail "
                  "(--detail-every chooses it from the start; a replay regenerates the rest)",
                  human(options.log_budget), thinned_detail));
  session.log().thin(thinned_detail);
}

// A statically linked program carries no library, nor does one that was started without our environment.
void RunRecorder::State::mind_unseen(const Client& client) {
  if (!file_record || file_record->sees(client.pid) || !unseen.insert(client.hello.program).second) return;
  terminal.say_once(fmt::format(
      "which files {} reads and writes is not seen: it is linked statically, or was started without LD_PRELOAD",
      client.hello.program));
}

void RunRecorder::State::fail(Session& session, const std::string& why) {
  if (failure.empty()) {
    failure = why;
    terminal.say(fmt::format("{} The recording ends here; the training goes on.", why));
    session.tell("error", session.log().next_step(), why);
  }
  session.log().end("lost: " + why);
  renew_quietly();
}

std::string RunRecorder::State::gone() const {
  std::error_code ignored;
  for (const SegmentEntry& segment : manifest.copy().segments)
    if (!segment.file.empty() && !fs::exists(run / segment.file, ignored)) return segment.file;
  return fs::exists(run / format::manifest_file, ignored) ? "" : format::manifest_file;
}

Recorded RunRecorder::State::recorded() const {
  Recorded sum;
  sum.run = run;
  sum.steps = steps;
  sum.someone_connected = someone_connected;
  sum.is_python = std::ranges::any_of(options.argv, is_python);
  sum.without_hooks = option_against_hooks(options.argv);
  sum.failed = !failure.empty();
  sum.gone = gone();
  for (const auto& [rank, state] : ranks) {
    sum.log_bytes += state.bytes;
    if (state.end_step == 0 || sum.ranks++ != 0) continue;
    sum.rank = rank;
    sum.chain = state.chain;
  }
  return sum;
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

FileSink* RunRecorder::files() const {
  return state_->file_record ? &*state_->file_record : nullptr;
}

void RunRecorder::announce() const {
  std::vector<std::string> words;
  for (const Pin& pin : state_->pins)
    if (pin.by == "samestep") words.push_back(pin.name + "=" + *pin.value);
  const std::string pins = words.empty() ? "" : fmt::format(" with {}", fmt::join(words, " "));
  state_->terminal.say(fmt::format("recording to {}{}", shown(state_->run), pins));
  if (is_on_nfs(state_->run))
    state_->terminal.say("the run lies on NFS, where reading it while it grows is not promised to work");
}

void RunRecorder::keep(std::vector<Seed> seeds) {
  state_->seeds = std::move(seeds);
}

void RunRecorder::close(const Ending& ending) {
  State& state = *state_;
  for (auto& [number, session] : state.sessions) session.log().end("lost");
  state.sessions.clear();
  state.anchors.finish();
  state.renewals.finish();
  try {
    state.keep_files();
  } catch (const BrokenInput& error) {
    state.terminal.say_once(error.what());
  }
  state.manifest.change([&](Manifest& now) {
    auto& what = state.made_here ? now.what : now.what["continued"].back();
    if (!state.seeds.empty()) what["seeds"] = to_json(state.seeds);
    what["ended_ns"] = utc_now_ns();
    what["command_ended"] = ending.text();
  });
  try {
    state.manifest.digest_ended_logs();
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
  if (const std::string events = events_line(state.manifest); !events.empty()) state.terminal.say("events: " + events);
  Recorded recorded = state.recorded();
  if (ending.exit_code() != 0) recorded.ended = ending.text();
  state.terminal.say(last_line(recorded));
}

Greeting RunRecorder::on_hello(const Client& client) {
  State& state = *state_;
  state.someone_connected = true;
  Greeting greeting;
  if (!state.failure.empty()) return greeting;  // off; why has been said
  for (const std::string& file : client.hello.files) state.files.add(file, "library");
  state.mind_unseen(client);
  const std::uint32_t rank = state.free_rank(client.hello.rank);
  RankState& rank_state = state.ranks[rank];
  state.anchors.begin(rank);
  greeting.welcome.mode = protocol::Mode::record;
  if (state.options.stop_after != 0) ask_to_stop(greeting.welcome, state.options.stop_after);
  greeting.welcome.rank = rank;
  greeting.welcome.first_step = rank_state.end_step;
  greeting.welcome.ask_start = rank_state.end_step > 0 || state.options.go_on;
  greeting.welcome.anchor_every = state.options.anchor_every;
  SessionLog log({state.run, state.manifest.copy().run_id, state.options.detail_every}, rank, rank_state,
                 state.manifest, state.process_of(client), client.hello.environment);
  Session session(rank, std::move(log), state.manifest);
  if (rank != client.hello.rank)
    session.tell("rank", std::nullopt,
                 fmt::format("Process {} says it is rank {}, as another one does; it is recorded as rank {}.",
                             client.pid, client.hello.rank, rank));
  state.sessions.emplace(client.number, std::move(session));
  return greeting;
}

std::uint64_t RunRecorder::on_start(const Client& client, const protocol::Start& start) {
  State& state = *state_;
  Session& session = state.sessions.at(client.number);
  Continuation found;
  try {
    state.manifest.renew();
    const bool first = state.ranks[session.rank()].end_step == 0 && state.options.go_on;
    found = first ? state.options.go_on(session.rank(), start) : continue_run(state.run, session.rank(), start);
  } catch (const BrokenInput& error) {
    const RankState& rank = state.ranks[session.rank()];
    found = {rank.end_step, rank.chain, nullptr,
             fmt::format("What was recorded before cannot be read: {}", error.what())};
  }
  const std::uint64_t first_step = found.first_step;
  session.go_on(std::move(found));
  return first_step;
}

void RunRecorder::on_layout(const Client& client, const Layout& layout) {
  Session& session = state_->sessions.at(client.number);
  session.begin(layout);
  state_->anchors.expect(session.rank(), anchor_bytes(layout));
}

protocol::Ack RunRecorder::on_step(const Client& client, StepRecord&& record) {
  State& state = *state_;
  Session& session = state.sessions.at(client.number);
  const std::uint64_t before = session.log().next_step();
  const protocol::Ack off{before == 0 ? protocol::Ack::no_step : before - 1, protocol::Ack::Answer::off, false};
  if (!state.failure.empty()) return off;
  session.check(record);
  session.observe(record);
  record.timing.rank = session.rank();
  const bool anchor = state.anchors.may_follow(session.rank(), record.step);
  try {
    session.log().append(record, anchor ? Detail::keep : Detail::scheduled);
  } catch (const BrokenInput& error) {
    state.fail(session, error.what());
    return off;
  }
  ++state.steps;
  session.compare_overlap(record);
  state.mind_log_budget(session);
  const bool last = state.options.stop_after != 0 && record.step + 1 >= state.options.stop_after;
  return {record.step, last ? protocol::Ack::Answer::stop : protocol::Ack::Answer::go_on,
          state.anchors.ask(session.rank())};
}

void RunRecorder::on_anchor(const Client& client, std::uint64_t step, Descriptor file) {
  State& state = *state_;
  const Session& session = state.sessions.at(client.number);
  if (!state.failure.empty()) return;
  const auto segment = step == 0 ? std::nullopt : session.log().segment_of(step - 1);
  if (!segment) return session.tell("anchor", step, "An anchor came of a step that was not recorded.");
  state.anchors.keep(session.rank(), *segment, step, std::move(file));
}

void RunRecorder::on_dump(const Client&, std::uint64_t, Descriptor) {}

void RunRecorder::on_event(const Client& client, const protocol::Notice& notice) {
  state_->sessions.at(client.number).tell_from_client(notice);
}

void RunRecorder::on_code(const Client&, const protocol::Code& code) {
  state_->code.add(code);
}

void RunRecorder::on_gone(const Client& client) {
  const auto found = state_->sessions.find(client.number);
  if (found != state_->sessions.end()) found->second.leave();
}

void RunRecorder::on_end(const Client& client, const ClientEnd& end) {
  State& state = *state_;
  const auto found = state.sessions.find(client.number);
  if (found == state.sessions.end()) return;
  Session& session = found->second;
  const std::uint64_t next = session.log().next_step();
  if (!end.said_bye && state.failure.empty())
    session.tell(
        kind_of(end.how), next,
        fmt::format("Process {} ended without saying so ({}) before step {} was complete.", client.pid, end.how, next));
  if (end.how.starts_with("refused")) state.terminal.say(fmt::format("process {}: {}", client.pid, end.how));
  const bool was_stopped = state.options.stop_after != 0 && next >= state.options.stop_after;
  session.log().end(was_stopped ? "stopped after the asked steps" : end.how);
  state.sessions.erase(found);
  state.renew_quietly();
}

void RunRecorder::on_tick() {
  const bool has_news = state_->file_record && state_->file_record->has_news();
  if (state_->manifest.is_renewed() && !has_news) return;
  state_->renewals.add([this] {
    state_->keep_writes();
    state_->renew_quietly();
  });
}

}  // namespace samestep

#include "replay/player/watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>

#include "replay/checkpoint/safetensors.h"
#include "replay/player/saved_run.h"
#include "replay/recorder/steady_file.h"
#include "replay/run/error.h"

namespace samestep {
namespace {

using protocol::Ack;

constexpr std::uint64_t most_dump_bytes = std::uint64_t{1} << 36;

Digest chain_before(const StepSource& recording, std::uint64_t first) {
  return first > recording.first_step() ? recording.chain(first - 1) : Digest{};
}

// Lanes that a root does not cover, or that were not read from the program, need the record itself.
bool needs_record(const StepRecord& mine) {
  for (Lane lane : all_lanes) {
    const LaneStatus status = mine.of(lane).status;
    if (status == LaneStatus::given) return true;
    if (status == LaneStatus::captured && !in_root(lane, mine.step)) return true;
  }
  return false;
}

std::int64_t steady_ns() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Watch::Watch(const StepSource& recording, const Plan& plan, Descriptor anchor, WatchOptions options)
    : recording_(recording),
      plan_(plan),
      anchor_(std::move(anchor)),
      options_(std::move(options)),
      findings_(ReplayedSteps(plan.first_step, chain_before(recording, plan.first_step))),
      forward_next_(plan.session_first_step) {}

bool Watch::is_over() const {
  if (ended_) return told_to_stop_ || at_its_end_;
  const std::int64_t silent = steady_ns() - heard_ns_;
  if (at_its_end_) return silent > 3 * longest_ns_;
  return on_the_way_ && options_.patience.count() > 0 && silent > options_.patience.count();
}

void Watch::hear() {
  const std::int64_t now = steady_ns(), before = heard_ns_.exchange(now);
  longest_ns_ = std::max(longest_ns_.load(), now - before);
}

// Of one that was turned away nobody tells when it ends: whether its process is there, the kernel knows.
std::uint32_t Watch::rank_of(const Client& client) {
  std::erase_if(ranks_, [](const auto& known) { return ::kill(known.first, 0) != 0 && errno == ESRCH; });
  ranks_.erase(client.pid);  // a second session of its own
  const std::uint32_t rank = next_free_rank(client.hello.rank, [&](std::uint32_t asked) {
    return std::ranges::any_of(ranks_, [&](const auto& known) { return known.second == asked; });
  });
  ranks_[client.pid] = rank;
  return rank;
}

// The first session of the rank is followed. Others (another rank, a second session) train on unwatched.
Greeting Watch::on_hello(const Client& client) {
  Greeting greeting;
  const std::uint32_t rank = rank_of(client);
  if (followed_ || rank != options_.rank) return greeting;
  followed_ = client.number;
  heard_ns_ = steady_ns();
  on_the_way_ = static_cast<bool>(anchor_) && plan_.fast_forward;
  greeting.welcome.rank = rank;
  greeting.welcome.read_steps = options_.read_steps;
  findings_.connected = true;
  findings_.environment = client.hello.environment;
  findings_.files = client.hello.files;
  greeting.welcome.mode = protocol::Mode::replay;
  greeting.welcome.first_step = plan_.first_step;
  greeting.welcome.from = plan_.from;
  greeting.welcome.to = plan_.to + (plan_.ends_there ? 1 : 0);
  greeting.welcome.has_anchor = static_cast<bool>(anchor_);
  greeting.welcome.dump_step = options_.dump_step;
  if (anchor_) {
    greeting.welcome.session_first_step = plan_.session_first_step;
    greeting.welcome.host_reads = host_reads_of(plan_.session_first_step);
    greeting.welcome.jump = !plan_.fast_forward;
    greeting.welcome.pin_rng = options_.pin_rng;
  }
  greeting.welcome.hyper =
      pinned_hyper(greeting.welcome.has_anchor && plan_.fast_forward ? plan_.session_first_step : plan_.first_step);
  greeting.welcome.lockstep = true;
  greeting.anchor = std::move(anchor_);
  if (options_.saved != nullptr) options_.saved->begin(client.hello);
  return greeting;
}

std::uint64_t Watch::on_start(const Client&, const protocol::Start&) {
  return plan_.first_step;
}

void Watch::on_layout(const Client& client, const Layout& layout) {
  if (client.number == followed_) layout_ = std::make_shared<const Layout>(layout);
}

Ack Watch::on_step(const Client& client, StepRecord&& record) {
  Ack ack{.step = record.step, .answer = Ack::Answer::go_on};
  if (client.number != followed_) return ack;
  hear();
  try {
    const bool on_the_way = findings_.steps.next() == plan_.first_step && record.step < plan_.first_step;
    const bool led = on_the_way && plan_.anchor && record.step == forward_next_;
    ack = led ? forward(record) : computed(std::move(record));
  } catch (const TamperedInput& error) {
    findings_.tampered = error.what();
    ack.answer = Ack::Answer::stop;
  } catch (const BrokenInput& error) {
    findings_.broken = error.what();
    ack.answer = Ack::Answer::stop;
  }
  if (ack.answer == Ack::Answer::stop || ack.answer == Ack::Answer::dump) told_to_stop_ = true;
  return ack;
}

Ack Watch::computed(StepRecord&& record) {
  Ack ack{.step = record.step, .answer = Ack::Answer::go_on};
  if (record.step != findings_.steps.next()) {
    throw BrokenInput(
        fmt::format("the program sent step {} where step {} was due", record.step, findings_.steps.next()));
  }
  on_the_way_ = false;
  ack.hyper = pinned_hyper(record.step + 1);
  ack.answer = judge(findings_.steps.add(std::move(record), layout_));
  return ack;
}

std::vector<std::uint64_t> Watch::host_reads_of(std::uint64_t step) const {
  return step < plan_.first_step ? recording_.record(step).host_reads : std::vector<std::uint64_t>{};
}

std::optional<protocol::HyperValues> Watch::pinned_hyper(std::uint64_t step) const {
  if (!options_.pin_hyper || step < plan_.first_step || step >= plan_.to) return std::nullopt;
  const StepRecord recorded = recording_.record(step);
  const LaneRecord& lane = recorded.of(Lane::hyper);
  const auto& columns = recording_.layout(step).of(Lane::hyper);
  protocol::HyperValues values;
  for (std::size_t i = 0; i < std::min(columns.size(), lane.values.size()); ++i) {
    if (lane.presence[i] == Presence::present) values[columns[i].name] = lane.values[i];
  }
  return values;
}

// On the way to the anchor the program computes nothing; what it draws, loads and chooses is compared all the same.
Ack Watch::forward(const StepRecord& mine) {
  Ack ack{.step = mine.step, .answer = Ack::Answer::go_on};
  LaneTallies uncounted{};
  findings_.difference =
      compare(recording_.record(mine.step), recording_.layout(mine.step), mine, *layout_, &uncounted);
  ++findings_.forwarded;
  forward_next_ = mine.step + 1;
  if (findings_.difference) {
    ack.answer = Ack::Answer::stop;
  } else {
    ack.host_reads = host_reads_of(forward_next_);
    ack.hyper = pinned_hyper(forward_next_);
  }
  return ack;
}

// The step that parts is dumped; the answer to the one after it stops the program.
Ack::Answer Watch::judge(const StepRecord& mine) {
  if (options_.saved != nullptr) options_.saved->add(mine, *layout_);
  findings_.goes_on = mine.step >= plan_.to && plan_.ends_there;
  if (mine.step >= plan_.to || (findings_.difference && !options_.keep_going)) return Ack::Answer::stop;
  std::optional<Difference> difference;
  if (!equal_by_chain(mine)) difference = compare_with_recording(mine);
  count(mine.step, difference.has_value());
  const bool last = mine.step + 1 == plan_.to;
  at_its_end_ = last && plan_.ends_there;
  if (!difference || findings_.difference) return last && !at_its_end_ ? Ack::Answer::stop : Ack::Answer::go_on;
  findings_.difference = std::move(difference);
  findings_.steps.hold();
  return mine.step == options_.dump_step ? Ack::Answer::stop : Ack::Answer::dump;
}

// As long as all steps agreed, equal chains mean equal roots: one read of 32 bytes instead of the whole record.
bool Watch::equal_by_chain(const StepRecord& mine) {
  if (!chains_agree_) return false;
  chains_agree_ = mine.chain == recording_.chain(mine.step);
  if (!chains_agree_ || needs_record(mine)) return false;
  for (Lane lane : all_lanes) {
    LaneTally& tally = findings_.lanes[static_cast<std::size_t>(lane)];
    ++(mine.of(lane).status == LaneStatus::captured ? tally.equal : tally.absent);
  }
  return true;
}

std::optional<Difference> Watch::compare_with_recording(const StepRecord& mine) {
  return compare(recording_.record(mine.step), recording_.layout(mine.step), mine, *layout_, &findings_.lanes);
}

void Watch::count(std::uint64_t step, bool differs) {
  ++(step < plan_.from ? findings_.warm_up : findings_.compared);
  if (differs) ++findings_.differing;
}

void Watch::on_anchor(const Client&, std::uint64_t, Descriptor) {}

void Watch::on_dump(const Client& client, std::uint64_t step, Descriptor file) {
  if (client.number != followed_) return;
  const auto path = options_.folder / fmt::format("step-{:09}{}.safetensors", step, options_.dump_suffix);
  const std::string what = "the dump of step " + std::to_string(step);
  const Descriptor steady = steady_file(file, most_dump_bytes, what);
  const MappedFile bytes(steady.get(), what);
  (void)parse_safetensors(bytes.bytes(), what);
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.bytes().data()), static_cast<std::streamsize>(bytes.bytes().size()));
  out.close();
  if (!out) throw BrokenInput(fmt::format("Writing the tensors of step {} to {} failed.", step, path.string()));
  findings_.dumps.push_back(path);
}

void Watch::on_event(const Client& client, const protocol::Notice& notice) {
  constexpr std::size_t enough = 1000;
  if (client.number == followed_ && findings_.notices.size() < enough) findings_.notices.push_back(notice);
}

void Watch::on_code(const Client& client, const protocol::Code& code) {
  constexpr std::size_t enough = 8;
  if (client.number == followed_ && findings_.code.size() < enough) findings_.code.push_back(code);
}

// A session that was told to stop closed itself, but not because the program had done all its steps.
std::string Watch::saved_ending(const ClientEnd& end) const {
  if (end.how != "closed") return end.how;
  const bool parts = findings_.goes_on || (findings_.difference && !options_.keep_going);
  if (parts) return "stopped at the first divergence";
  const bool window = findings_.steps.next() >= plan_.to && plan_.to < recording_.end_step();
  return window ? "closed after the asked window" : end.how;
}

void Watch::on_end(const Client& client, const ClientEnd& end) {
  if (client.number != followed_) return;
  ranks_.erase(client.pid);
  findings_.end = end;
  ended_ = true;
  if (options_.saved != nullptr) options_.saved->end(saved_ending(end));
}

void Watch::on_tick() {
  const std::string from = plan_.anchor ? fmt::format("the anchor at step {}", plan_.anchor->step) : "the start";
  options_.progress(
      fmt::format("replaying step {} of {} to {}, from {}", findings_.steps.next(), plan_.from, plan_.to - 1, from));
}

}  // namespace samestep

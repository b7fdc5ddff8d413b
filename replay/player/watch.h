// The sink of a replay: compares each step with the recording as it commits, and answers go on, dump or stop.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "replay/compare/verdict.h"
#include "replay/player/plan.h"
#include "replay/player/replayed_steps.h"
#include "replay/recorder/sink.h"
#include "replay/run/step_source.h"

namespace samestep {

class SavedRun;

struct WatchOptions {
  bool keep_going = false;
  std::optional<std::uint64_t> dump_step;  // known beforehand in a second replay
  std::filesystem::path folder;            // dumps go here
  std::string dump_suffix;                 // "" for the first replay, "-again" for the second
  std::function<void(const std::string&)> progress = [](const std::string&) {};  // see ReplayOptions
  SavedRun* saved = nullptr;  // where every step is written as well; not owned
  std::uint32_t rank = 0;
  bool pin_hyper = false, pin_rng = false;  // the program is given these lanes
  std::vector<std::uint64_t> read_steps;    // see protocol::Welcome
  std::chrono::nanoseconds patience{0};     // for a step on the way to the anchor; 0: without end
};

// What one replay found.
struct Findings {
  explicit Findings(ReplayedSteps replayed) : steps(std::move(replayed)) {}

  bool connected = false;
  nlohmann::json environment = nlohmann::json::object();  // of the session's hello
  std::vector<std::string> files;                         // mapped by the program
  std::vector<protocol::Code> code;                       // that it told of
  std::optional<Difference> difference;                   // the first
  std::uint64_t compared = 0;                             // asked steps compared
  std::uint64_t warm_up = 0;                              // steps before them compared
  std::uint64_t forwarded = 0;                            // steps on the way to the anchor, not computed
  std::uint64_t differing = 0;                            // asked steps that differ, with keep_going
  bool goes_on = false;  // behind the last step, where the recorded program ended by itself
  LaneTallies lanes{};
  std::vector<protocol::Notice> notices;
  std::optional<ClientEnd> end;
  std::vector<std::filesystem::path> dumps;
  std::string tampered;  // the recording contradicted itself while it was read
  std::string broken;    // the program sent what cannot be used
  ReplayedSteps steps;
};

class Watch : public Sink {
 public:
  // `recording` and `plan` must outlive the watch; `anchor` is handed to the first session of the rank.
  Watch(const StepSource& recording, const Plan& plan, Descriptor anchor, WatchOptions options);

  [[nodiscard]] Findings take_findings() { return std::move(findings_); }

  // The program has nothing more to tell: the followed session did all that was asked, and has ended; or it was silent
  // for too long behind its last step, where its end is awaited, or on the way to the anchor, where it may wait for a
  // number that nothing computes. Any thread.
  [[nodiscard]] bool is_over() const;

  Greeting on_hello(const Client& client) override;
  std::uint64_t on_start(const Client& client, const protocol::Start& start) override;
  void on_layout(const Client& client, const Layout& layout) override;
  protocol::Ack on_step(const Client& client, StepRecord&& record) override;
  void on_anchor(const Client& client, std::uint64_t step, Descriptor file) override;
  void on_dump(const Client& client, std::uint64_t step, Descriptor file) override;
  void on_event(const Client& client, const protocol::Notice& notice) override;
  void on_code(const Client& client, const protocol::Code& code) override;
  void on_end(const Client& client, const ClientEnd& end) override;
  void on_tick() override;

 private:
  protocol::Ack::Answer judge(const StepRecord& mine);
  protocol::Ack forward(const StepRecord& mine);
  protocol::Ack computed(StepRecord&& record);
  [[nodiscard]] std::vector<std::uint64_t> host_reads_of(std::uint64_t step) const;
  [[nodiscard]] std::optional<protocol::HyperValues> pinned_hyper(std::uint64_t step) const;
  bool equal_by_chain(const StepRecord& mine);
  std::optional<Difference> compare_with_recording(const StepRecord& mine);
  void count(std::uint64_t step, bool differs);
  [[nodiscard]] std::string saved_ending(const ClientEnd& end) const;
  [[nodiscard]] std::uint32_t rank_of(const Client& client);
  void hear();

  const StepSource& recording_;
  const Plan& plan_;
  Descriptor anchor_;
  WatchOptions options_;
  Findings findings_;
  std::optional<std::uint64_t> followed_;  // number of the client that is compared
  std::map<pid_t, std::uint32_t> ranks_;   // of the processes that said hello and live
  std::atomic<bool> told_to_stop_ = false, ended_ = false, at_its_end_ = false, on_the_way_ = false;
  std::atomic<std::int64_t> heard_ns_ = 0, longest_ns_ = 0;  // of a steady clock: the last frame, the longest silence
  std::shared_ptr<const Layout> layout_;
  std::uint64_t forward_next_ = 0;  // the step that a fast-forwarding program sends next
  bool chains_agree_ = true;        // up to the step before
};

}  // namespace samestep

// The state machine behind a session that is recording or replaying: which moment the loop is at, what must be read
// there, what is sent. Never throws into the training program: trouble with a tensor or with the recorder ends the
// recording with one line on standard error, and the training goes on.
#pragma once

#include <c10/util/FunctionRef.h>
#include <torch/torch.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "replay/capture/anchor.h"
#include "replay/capture/effective_environment.h"
#include "replay/capture/entries.h"
#include "replay/capture/fast_forward.h"
#include "replay/capture/host_reads.h"
#include "replay/capture/recorder_link.h"
#include "replay/capture/session.h"
#include "replay/capture/step_draft.h"

namespace samestep::capture {

class Recording {
 public:
  // Null where the session is off. Pins determinism, says hello. `loop` must outlive the object.
  [[nodiscard]] static std::unique_ptr<Recording> open(TrainingProgram program, Loop& loop);

  [[nodiscard]] bool replaying() const;
  // On the way to an anchor: operators are not computed, and an optimizer's step need not be made.
  [[nodiscard]] bool fast_forwarding() const { return forward_ != nullptr; }
  // True where memory holds nothing, for a program on its way to an anchor.
  [[nodiscard]] bool is_stale(const at::Tensor& tensor) const {
    return forward_ != nullptr && forward_->is_stale(tensor);
  }
  [[nodiscard]] bool live() const { return link_->alive(); }
  void keep(Kept value);
  // One that the program made after the recording had begun; it takes the next number.
  void add_optimizer(std::unique_ptr<Optimizer> optimizer);
  // One of them was replaced by another, or its parameters are gone.
  void optimizers_changed();
  // The recording ends here: its log says why, and so does standard error.
  void give_up(const std::string& why);
  // Whether the anchor's generators were put in where this step began, because they are pinned.
  [[nodiscard]] bool rng_given() const { return rng_given_; }

  // True where the program has, or would have, updated one of `tensors` in place since the last call.
  [[nodiscard]] bool take_written(const std::vector<at::Tensor>& tensors);

  // The loop goes through these in order: begin, then for each iteration begin_iteration, any of the moments,
  // end_iteration; at last end.
  void begin();  // sets the loop's next and end: the window; restores the anchor
  void begin_iteration();
  void end_iteration();
  void end(bool by_exception);
  void bye(bool by_exception);

  // The moments.
  void batch(const std::vector<at::Tensor>& tensors);
  void loss(const at::Tensor& value);
  void hyper(const std::string& name, double value);
  void before_update(std::size_t optimizer, bool inside_closure);  // P
  void after_update(std::size_t optimizer, bool skipped);          // O: commits the step
  [[nodiscard]] bool update_seen() const { return draft_.update_seen; }
  // The next O reads the optimizers' state (or may have to: a replay can ask for all tensors at any step).
  [[nodiscard]] bool state_wanted() const;
  // The next O is one at which an anchor is cut: set_reached() first, where there is something to give.
  [[nodiscard]] bool anchor_due() const;
  // The coming end_iteration() finishes an anchor: it reads the program's state once more.
  [[nodiscard]] bool cutting() const { return cut_.has_value(); }
  // This process has jumped to its anchor: what only the program's language can reach is to be put in.
  [[nodiscard]] bool jumped() const { return jumped_; }
  // What the program's variables hold besides weights and optimizer state: goes into the next anchor as it is.
  void set_reached(std::vector<NamedTensor> tensors) { reached_ = std::move(tensors); }
  // Once, after an anchor was restored.
  [[nodiscard]] std::vector<NamedTensor> take_reached() { return std::exchange(reached_, {}); }
  // An iteration ended without update(): said once.
  void note_idle_iteration();
  // Something worth telling, of a kind that Event (replay/run/manifest.h) names.
  void notice(const std::string& kind, const std::string& text, std::optional<std::uint64_t> step = std::nullopt);
  // The code that the program has loaded; the mapped shared objects are added here.
  void code(protocol::Code code);

 private:
  Recording(TrainingProgram program, Loop& loop, std::unique_ptr<RecorderLink> link);

  // The number in the run of the step that comes next.
  [[nodiscard]] std::uint64_t step_number() const { return loop_.next + offset_; }
  // Does `work` where the recording lives, and ends it where that throws; counts the time.
  void guarded(const char* what, c10::function_ref<void()> work);
  [[nodiscard]] std::int64_t work_ns() const;  // since the work that is being done began

  [[nodiscard]] bool goes_forward() const;
  [[nodiscard]] bool pins_hyper() const { return link_->pinned_hyper().has_value(); }
  void put_pinned_hyper(std::size_t optimizer);
  void put_pinned_rng();
  void note_or_give_reads();
  [[nodiscard]] std::uint64_t restore();
  void jump();
  void skip_update(std::size_t optimizer, bool skipped);
  [[nodiscard]] std::vector<std::uint64_t> take_reads();
  void check_reads();
  void arrive();
  void forward(const std::vector<at::Tensor>& batch);
  void ask_for_first_step(std::size_t optimizer);
  [[nodiscard]] std::optional<Digest> optimizer_digest(std::size_t optimizer) const;
  void keep_for_dump(const std::vector<at::Tensor>& batch);
  void check_settings();

  struct Outcome;  // what is read at O
  [[nodiscard]] Outcome read_outcome(std::size_t optimizer);
  void plan_outcome(Outcome& outcome);
  [[nodiscard]] Layout layout_now(std::vector<Column> optimizer_columns) const;
  [[nodiscard]] StepRecord assemble(Outcome& outcome, std::size_t optimizer, bool skipped);
  [[nodiscard]] const AllOptions& first_options();
  void note_hyper_names();
  [[nodiscard]] LaneRecord hyper_lane() const;
  [[nodiscard]] std::vector<bool> covered_by(std::size_t optimizer) const;
  void mask_and_seal(StepRecord& record, std::size_t optimizer) const;
  [[nodiscard]] StepTiming timing();
  void commit(Outcome& outcome, StepRecord record);
  void obey(std::uint64_t step, std::size_t optimizer);
  void send_dump(std::uint64_t step, std::size_t optimizer);
  [[nodiscard]] Program program() const { return {parameters_, program_.optimizers, kept_, reached_}; }

  TrainingProgram program_;
  Loop& loop_;
  std::unique_ptr<RecorderLink> link_;
  Parameters parameters_;
  std::vector<Kept> kept_;
  std::vector<NamedTensor> reached_;
  protocol::Hello hello_;
  Settings settings_;
  AllOptions first_options_;  // that each group was seen with
  std::uint64_t offset_ = 0;  // number in the run minus the program's own number

  std::unique_ptr<HostReads> host_reads_;  // recording what a later fast-forward is given
  std::unique_ptr<FastForward> forward_;   // on the way to an anchor
  bool reads_said_ = false;
  bool arriving_ = false;  // the iteration that ends is the last before the anchor
  bool jumped_ = false;
  bool rng_given_ = false;  // this step's F

  StepDraft draft_;
  bool forward_at_top_ = true;  // this loop's habit: no batch(), so F is where the iteration begins
  bool first_step_done_ = false;
  bool first_step_known_ = false;      // the recorder has numbered it, where it wanted to
  std::set<std::string> hyper_names_;  // every name seen so far: a column once is a column ever
  std::set<std::string> sparse_gradients_;
  Layout layout_;               // as it was sent
  bool layout_changed_ = true;  // a table other than the optimizer's state has changed since
  std::int64_t last_commit_ns_ = 0;
  std::int64_t capture_ns_ = 0;  // spent since the last commit
  std::chrono::steady_clock::time_point work_began_;

  bool anchor_asked_ = false;
  std::optional<AnchorCut> cut_;  // waits for the end of the iteration
  Options last_hyper_;
  bool idle_said_ = false;
};

}  // namespace samestep::capture

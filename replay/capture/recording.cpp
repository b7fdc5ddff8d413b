#include "replay/capture/recording.h"

#include <algorithm>
#include <chrono>

#include "replay/run/error.h"
#include "replay/run/utc.h"

namespace samestep::capture {
namespace {

std::string reason_of(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  return torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
}

}  // namespace

std::unique_ptr<Recording> Recording::open(TrainingProgram program, Loop& loop) {
  if (std::getenv(protocol::socket_variable) == nullptr) return nullptr;
  DeterminismPins pins;
  try {
    auto hello = describe_process();
    hello.restart = program.restart;
    auto link = RecorderLink::open(hello);
    if (link == nullptr) return nullptr;
    std::unique_ptr<Recording> recording(new Recording(std::move(program), loop, std::move(link)));
    recording->hello_ = hello;
    recording->hello_.rank = recording->link_->welcome().rank;
    pins.keep();
    return recording;
  } catch (const std::exception& error) {
    say("cannot record this model: " + reason_of(error) + "; the training runs unrecorded");
    return nullptr;
  }
}

Recording::Recording(TrainingProgram program, Loop& loop, std::unique_ptr<RecorderLink> link)
    : program_(std::move(program)),
      loop_(loop),
      link_(std::move(link)),
      parameters_(*program_.weights, program_.optimizers),
      settings_(effective_settings()) {}

void Recording::keep(Kept value) {
  kept_.push_back(std::move(value));
  layout_changed_ = true;
}

bool Recording::replaying() const {
  return link_->welcome().mode == protocol::Mode::replay;
}

void Recording::guarded(const char* what, c10::function_ref<void()> work) {
  if (!live()) return;
  const at::NoGradGuard no_grad;
  work_began_ = std::chrono::steady_clock::now();
  try {
    work();
  } catch (const std::exception& error) {
    give_up(std::string("cannot record ") + what + " of step " + std::to_string(step_number()) + ": " +
            reason_of(error));
  }
  capture_ns_ += work_ns();
  if (!live() && replaying()) loop_.stopped = true;  // nobody is asking any more
}

std::int64_t Recording::work_ns() const {
  const auto spent = std::chrono::steady_clock::now() - work_began_;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count();
}

void Recording::give_up(const std::string& why) {
  notice("gave_up", why);
  link_->give_up(why);
}

void Recording::begin() {
  const auto& welcome = link_->welcome();
  add_first_options(first_options_, program_.optimizers);
  offset_ = (goes_forward() ? welcome.session_first_step : welcome.first_step) - loop_.next;
  guarded("the state of the program at the start", [&] {
    parameters_.refresh();
    if (program_.restart == Restart::fast_forward || program_.restart == Restart::either) note_or_give_reads();
    if (welcome.has_anchor && !goes_forward()) jump();
  });
  if (replaying()) loop_.end = std::min(loop_.end, welcome.to - offset_);
  last_commit_ns_ = utc_now_ns();
}

// Returns the program's own number of the step that comes next.
std::uint64_t Recording::restore() {
  try {
    const MappedFile file(link_->anchor(), "the anchor");
    const auto restored = restore_anchor(file.bytes(), program(), link_->welcome().first_step, first_options());
    for (const auto& text : restored.notes) notice("restore", text, link_->welcome().first_step);
    reached_ = restored.reached;
    return restored.number;
  } catch (const BrokenInput& error) {
    say(std::string("cannot start from the anchor: ") + error.what());
    notice("restore_failed", error.what(), link_->welcome().first_step);
    loop_.stopped = true;
    return link_->welcome().first_step - offset_;
  }
}

void Recording::jump() {
  loop_.next = restore();
  jumped_ = !loop_.stopped;
  offset_ = link_->welcome().first_step - loop_.next;
}

void Recording::add_optimizer(std::unique_ptr<Optimizer> optimizer) {
  program_.optimizers.push_back(std::move(optimizer));
  optimizers_changed();
}

const AllOptions& Recording::first_options() {
  add_first_options(first_options_, program_.optimizers);
  return first_options_;
}

void Recording::optimizers_changed() {
  add_first_options(first_options_, program_.optimizers);
  layout_changed_ = true;  // weights that others were the same before are not edited ones
}

void Recording::begin_iteration() {
  const bool first_of_step = !draft_.forward_seen;
  if (first_of_step && (forward_at_top_ || !first_step_done_)) {
    guarded("the weights", [&] { forward({}); });
  }
}

void Recording::end_iteration() {
  if (std::exchange(arriving_, false)) guarded("the anchor's state", [&] { arrive(); });
  if (!cut_) return;
  guarded("the anchor", [&] {
    const auto file = cut_->finish(program(), first_options(), last_hyper_, hello_.rank);
    link_->file(protocol::Type::anchor, cut_->step(), file.descriptor());
  });
  cut_.reset();
  reached_.clear();
}

void Recording::end(bool by_exception) {
  // An exception leaves the program's own values in an unknown state: no anchor is made of them.
  if (by_exception) cut_.reset();
  end_iteration();
  if (!by_exception && !loop_.stopped && loop_.next < loop_.end) {
    notice("left_early", "the loop was left before step " + std::to_string(loop_.end + offset_) + " was reached",
           step_number());
  }
}

void Recording::bye(bool by_exception) {
  if (!live()) return;
  link_->bye(by_exception ? "exception" : "closed");
}

void Recording::note_idle_iteration() {
  if (idle_said_ || !live()) return;
  idle_said_ = true;
  notice("no_update", "an iteration of the loop ended without step.update(): it is no step", step_number());
}

void Recording::notice(const std::string& kind, const std::string& text, std::optional<std::uint64_t> step) {
  if (live()) link_->notice({kind, step, "", text});
}

void Recording::code(protocol::Code code) {
  if (!live()) return;
  code.libraries = mapped_files();
  link_->code(code);
}

}  // namespace samestep::capture

#include "replay/capture/session.h"

#include <algorithm>
#include <exception>
#include <stdexcept>

#include "replay/capture/libtorch_program.h"
#include "replay/capture/recording.h"

namespace samestep {
namespace {

using capture::Loop;

// One session at a time: two would claim the same steps.
bool session_exists = false;

// How many iterations without an update are taken for accumulation rather than for a loop that forgot update().
constexpr std::uint64_t patience = 10000;

std::size_t index_of(const Loop& loop, const torch::optim::Optimizer& optimizer) {
  const auto found = std::find(loop.optimizers.begin(), loop.optimizers.end(), &optimizer);
  if (found == loop.optimizers.end()) {
    throw std::logic_error("samestep: this optimizer was not given to the session");
  }
  return static_cast<std::size_t>(found - loop.optimizers.begin());
}

torch::optim::Optimizer& only_optimizer(const Loop& loop) {
  if (loop.optimizers.size() == 1) return *loop.optimizers.front();
  throw std::logic_error("samestep: the session has " + std::to_string(loop.optimizers.size()) +
                         " optimizers: name the one, as in step.update(optimizer)");
}

void advance(Loop& loop) {
  ++loop.next;
  ++loop.made;
}

at::Tensor run_update(Loop& loop, torch::optim::Optimizer& optimizer, const std::function<at::Tensor()>& closure) {
  const auto index = index_of(loop, optimizer);
  auto* recording = loop.recording;
  if (recording == nullptr) return closure ? optimizer.step(closure) : optimizer.step();
  at::Tensor result;
  if (closure) {
    result = optimizer.step([&] {
      auto value = closure();
      if (!recording->update_seen()) recording->before_update(index, true);
      return value;
    });
  } else {
    recording->before_update(index, false);
    result = optimizer.step();
  }
  recording->after_update(index, false);
  return result;
}

void begin_iteration(Loop& loop) {
  if (loop.stopped || loop.next >= loop.end) return;
  loop.running = true;
  loop.made = 0;
  if (loop.recording != nullptr) loop.recording->begin_iteration();
}

void count_idle(Loop& loop) {
  if (loop.recording != nullptr) loop.recording->note_idle_iteration();
  if (++loop.idle < std::max(patience, loop.end)) return;
  throw std::logic_error("samestep: the loop went round " + std::to_string(loop.idle) +
                         " times without step.update(); call it where optimizer.step() was");
}

void end_iteration(Loop& loop) {
  loop.running = false;
  if (loop.made != 0) {
    loop.idle = 0;
  } else {
    count_idle(loop);
  }
  if (loop.recording != nullptr) loop.recording->end_iteration();
}

}  // namespace

// --- Step
// -------------------------------------------------------------------------------------------------------------

void Step::batch_of(const std::vector<at::Tensor>& tensors) const {
  if (loop_->recording != nullptr) loop_->recording->batch(tensors);
}

void Step::loss(const at::Tensor& value) const {
  if (loop_->recording != nullptr) loop_->recording->loss(value);
}

void Step::hyper(const std::string& name, double value) const {
  if (loop_->recording != nullptr) loop_->recording->hyper(name, value);
}

double Step::clip_grad_norm(double max_norm, double norm_type) const {
  return clip_grad_norm(only_optimizer(*loop_), max_norm, norm_type);
}

double Step::clip_grad_norm(torch::optim::Optimizer& optimizer, double max_norm, double norm_type) const {
  hyper("clip_grad_norm.max_norm", max_norm);
  hyper("clip_grad_norm.norm_type", norm_type);
  std::vector<at::Tensor> parameters;  // Optimizer::parameters() warns at every call
  for (const auto& group : optimizer.param_groups()) {
    parameters.insert(parameters.end(), group.params().begin(), group.params().end());
  }
  return torch::nn::utils::clip_grad_norm_(parameters, max_norm, norm_type);
}

void Step::update() const {
  update(only_optimizer(*loop_));
}

void Step::update(torch::optim::Optimizer& optimizer) const {
  run_update(*loop_, optimizer, nullptr);
  advance(*loop_);
}

at::Tensor Step::update(const std::function<at::Tensor()>& closure) const {
  return update(only_optimizer(*loop_), closure);
}

at::Tensor Step::update(torch::optim::Optimizer& optimizer, const std::function<at::Tensor()>& closure) const {
  auto result = run_update(*loop_, optimizer, closure);
  advance(*loop_);
  return result;
}

void Step::skip() const {
  skip(only_optimizer(*loop_));
}

void Step::skip(torch::optim::Optimizer& optimizer) const {
  const auto index = index_of(*loop_, optimizer);
  if (loop_->recording != nullptr) {
    loop_->recording->before_update(index, false);
    loop_->recording->after_update(index, true);
  }
  advance(*loop_);
}

// --- Steps
// ------------------------------------------------------------------------------------------------------------

Steps::Iterator Steps::begin() {
  begin_iteration(*loop_);
  return Iterator(loop_);
}

Steps::Iterator& Steps::Iterator::operator++() {
  end_iteration(*loop_);
  begin_iteration(*loop_);
  return *this;
}

Steps::~Steps() {
  if (loop_->recording != nullptr) loop_->recording->end(std::uncaught_exceptions() > 0);
}

// --- Session
// ----------------------------------------------------------------------------------------------------------

Session::Session(Modules modules, Optimizers optimizers) {
  if (session_exists) throw std::logic_error("samestep: a session exists already; give it all modules and optimizers");
  if (optimizers.empty() || optimizers.size() > capture::max_optimizers) {
    throw std::logic_error("samestep: a session takes 1 to 64 optimizers");
  }
  loop_.optimizers = std::move(optimizers);
  recording_ = capture::Recording::open(capture::libtorch_program(std::move(modules), loop_.optimizers), loop_);
  loop_.recording = recording_.get();
  session_exists = true;
}

Session::~Session() {
  session_exists = false;
  if (recording_ != nullptr) recording_->bye(std::uncaught_exceptions() > 0);
}

Session::Mode Session::mode() const {
  if (recording_ == nullptr || !recording_->live()) return Mode::off;
  return recording_->replaying() ? Mode::replaying : Mode::recording;
}

void Session::check_keep(const std::string& name) {
  if (loop_.started) throw std::logic_error("samestep: keep(\"" + name + "\") must come before steps()");
  if (std::find(kept_names_.begin(), kept_names_.end(), name) != kept_names_.end()) {
    throw std::logic_error("samestep: keep(\"" + name + "\") was called twice");
  }
  kept_names_.push_back(name);
}

void Session::keep_tensors(const std::string& name, std::function<KeptState()> get,
                           std::function<void(const KeptState&)> set) {
  check_keep(name);
  if (recording_ != nullptr) recording_->keep({name, std::move(get), std::move(set)});
}

Steps Session::steps(std::uint64_t first, std::uint64_t end) {
  if (loop_.started) throw std::logic_error("samestep: steps() was called twice; one session has one loop");
  loop_.started = true;
  loop_.next = first;
  loop_.end = end;
  if (recording_ != nullptr) recording_->begin();
  return Steps(&loop_);
}

}  // namespace samestep

// replay/capture/ is what is linked into the training program: it reads the lanes of each step and sends them to the
// recorder. It may include kernels/, replay/run/record.h, replay/checkpoint/ and replay/recorder/protocol.h, and is one
// of the two folders that include LibTorch.
//
// This header is the public C++ API, installed as <samestep/session.h>. A training loop reads:
//
//     samestep::Session session{model, optimizer};          // off, recording or replaying: the environment says
//     session.keep("cursor", [&] { return data.state(); }, [&](auto s) { data.restore(s); });
//     for (auto step : session.steps(config.steps)) {       // all of them, or the window of a replay
//       auto [x, y] = data.next();
//       step.batch(x, y);                                   // moment F: just before the forward pass
//       auto loss = cross_entropy(model->forward(x), y);
//       step.loss(loss);                                    // where the backward pass starts
//       loss.backward();
//       step.update();                                      // optimizer.step(), digested before (P) and after (O)
//     }
//
// Launched by `samestep record` or `samestep replay`, the session finds its recorder by an environment variable;
// started plainly it is off, and every call returns at once. Recording changes no bit of the training: it draws no
// random number, touches no graph and no version counter, writes nothing to standard output.
//
// A step is one optimizer update. steps(n) counts updates, not iterations: a loop that updates twice an iteration (a
// GAN) and asks for 1000 steps goes round 500 times; a loop that updates in every fourth iteration goes round 4n times.
// Numbers are the same whether the session is off, recording or replaying.
//
// What a replay restores when it starts at step S is the state at the *end of the iteration* that made step S - 1, so
// evaluation, schedules and weight clipping after update() are accounted for. What the loop keeps in variables of its
// own (a data cursor, a best loss) must be given to keep().
//
// Not thread-safe: use a session from the thread that runs the loop. Two sessions at a time are refused. Misuse
// (two sessions, keep() after steps(), a name kept twice, steps() called twice, an optimizer that is not the session's)
// throws std::logic_error in every mode; trouble with the recorder never throws: one line on standard error, and the
// training goes on unrecorded.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace samestep {

class Session;

// Values a program may keep for restoring: tensors, or anything convertible by to_tensors/from_tensors (kept_state.h).
using KeptState = std::vector<at::Tensor>;

namespace capture {
class Recording;  // the implementation

// Where the loop is. Kept in every mode, so that steps are numbered alike.
struct Loop {
  std::vector<torch::optim::Optimizer*> optimizers;
  Recording* recording = nullptr;  // null: off
  std::uint64_t next = 0;          // the number that the next update gets
  std::uint64_t end = 0;           // no iteration starts at or after this one
  std::uint64_t made = 0;          // updates in this iteration
  std::uint64_t idle = 0;          // iterations in a row without an update
  bool stopped = false;            // a replay has seen enough
  bool started = false;            // steps() was called
  bool running = false;            // an iteration has begun and not ended
};
}  // namespace capture

// One iteration's handle. Copyable; valid until the loop moves on.
class Step {
 public:
  // The number of the first step that this iteration makes, from 0 over the whole loop.
  [[nodiscard]] std::uint64_t number() const { return number_; }
  operator std::uint64_t() const { return number_; }

  // Moment F at its first call in a step: reads weights_in and rng; every call adds its tensors to the lane `batch`.
  // Call it just before each training forward pass, with everything the pass and the loss read (targets included). A
  // loop that never calls it has F at the top of the iteration, and no lane `batch`.
  template <class... Tensors>
  void batch(const Tensors&... tensors) const {
    if (loop_->recording != nullptr) batch_of({at::Tensor(tensors)...});
  }
  void batch_of(const std::vector<at::Tensor>& tensors) const;

  // A value that a backward pass starts from; call it before (or after) each loss.backward().
  void loss(const at::Tensor& value) const;

  // A hyper-parameter the session cannot see: a loss scale, a dropout rate that a schedule moves. Give what was *set*,
  // not what was computed from the data: the lane `hyper` stands before `loss` and `gradients` when a cause is named.
  void hyper(const std::string& name, double value) const;

  // torch::nn::utils::clip_grad_norm_ over the optimizer's parameters; its arguments are recorded in `hyper`. (Its
  // result is not: it follows from the gradients, and a difference there would be taken for one of hyper-parameters.)
  // Returns the norm before clipping.
  double clip_grad_norm(double max_norm, double norm_type = 2.0) const;
  double clip_grad_norm(torch::optim::Optimizer& optimizer, double max_norm, double norm_type = 2.0) const;

  // Reads gradients and hyper (moment P), calls optimizer.step(), reads weights_out (moment O) and commits the step.
  // With several optimizers name the one: each update is a step of its own and takes the next number.
  void update() const;
  void update(torch::optim::Optimizer& optimizer) const;
  // For optimizers that take a closure (L-BFGS): every pass belongs to this step, and batch() and loss() may be called
  // in it. P is when the first pass returns, before any weight is changed. Returns optimizer.step()'s value.
  at::Tensor update(const std::function<at::Tensor()>& closure) const;
  at::Tensor update(torch::optim::Optimizer& optimizer, const std::function<at::Tensor()>& closure) const;
  // The update was skipped on purpose (a gradient scaler met infinities): the step keeps its number, marked skipped.
  void skip() const;
  void skip(torch::optim::Optimizer& optimizer) const;

 private:
  friend class Steps;
  explicit Step(capture::Loop* loop) : loop_(loop), number_(loop->next) {}
  capture::Loop* loop_;
  std::uint64_t number_;
};

// The range that Session::steps() returns: an input range of Step, to be walked once.
class Steps {
 public:
  class Iterator {
   public:
    using value_type = Step;
    using difference_type = std::ptrdiff_t;
    Step operator*() const { return Step(loop_); }
    Iterator& operator++();
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return loop_->stopped || loop_->next >= loop_->end; }

   private:
    friend class Steps;
    explicit Iterator(capture::Loop* loop) : loop_(loop) {}
    capture::Loop* loop_;
  };
  Iterator begin();
  std::default_sentinel_t end() const { return {}; }
  ~Steps();
  Steps(const Steps&) = delete;
  Steps& operator=(const Steps&) = delete;

 private:
  friend class Session;
  explicit Steps(capture::Loop* loop) : loop_(loop) {}
  capture::Loop* loop_;
};

class Session {
 public:
  // Several modules (names prefix their parameters; "" adds none) and several optimizers (a GAN). All must outlive the
  // session. Parameters come in the optimizers' order; those that no optimizer owns follow in module order, then the
  // buffers. A parameter that no module names is called "unnamed.<optimizer>.<group>.<position>".
  using Modules = std::vector<std::pair<std::string, std::shared_ptr<torch::nn::Module>>>;
  using Optimizers = std::vector<torch::optim::Optimizer*>;
  Session(Modules modules, Optimizers optimizers);
  // One model and one optimizer; the usual case. `Holder` is a torch::nn::ModuleHolder or shared_ptr<Module>.
  template <class Holder>
  Session(const Holder& model, torch::optim::Optimizer& optimizer)
      : Session(Modules{{"", module_of(model)}}, Optimizers{&optimizer}) {}
  // Waits until the recorder has everything, and says goodbye.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  enum class Mode : std::uint8_t { off, recording, replaying };
  [[nodiscard]] Mode mode() const;

  // Anything else that a restart must restore (a data cursor, a scheduler, best loss so far): `get` is called when an
  // anchor is cut, `set` with the same type when a replay starts from one. Call before steps(). Names are unique.
  // Types: arithmetic and trivially copyable ones (std::mt19937, a struct of numbers), std::string, at::Tensor, and
  // std::vector of arithmetic types or tensors.
  template <class Get, class Set>
  void keep(const std::string& name, Get get, Set set);
  void keep_tensors(const std::string& name, std::function<KeptState()> get, std::function<void(const KeptState&)> set);

  // The steps to run, once: 0 to `count` when off or recording, the asked window when replaying (the anchor is restored
  // here). Leave the loop by its end, `break` or an exception, as you like.
  [[nodiscard]] Steps steps(std::uint64_t count) { return steps(0, count); }
  // The same for a program that resumes by itself from a checkpoint of its own: numbers run from `first` to `end`.
  [[nodiscard]] Steps steps(std::uint64_t first, std::uint64_t end);

 private:
  template <class Holder>
  static std::shared_ptr<torch::nn::Module> module_of(const Holder& holder) {
    if constexpr (std::is_convertible_v<Holder, std::shared_ptr<torch::nn::Module>>) {
      return holder;
    } else {
      return holder.ptr();
    }
  }
  void check_keep(const std::string& name);

  capture::Loop loop_;
  std::vector<std::string> kept_names_;
  std::unique_ptr<capture::Recording> recording_;
};

}  // namespace samestep

#include "kept_state.h"

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
// Launched by `samestep record` or `samestep replay`, the session finds its recorder by an environment variable; started
// plainly it is off, and every call returns at once. Recording changes no bit of the training.
// Not thread-safe: use a session from the thread that runs the loop. Two sessions at a time are refused (std::logic_error).
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace samestep {

class Session;
class Steps;

// Values a program may keep for restoring: tensors, or anything convertible by to_tensors/from_tensors below.
using KeptState = std::vector<at::Tensor>;

namespace capture {
class Recording;  // the implementation (pimpl)

// Conversions for keep(): arithmetic types, std::string, at::Tensor, std::vector of arithmetic types or tensors, and
// KeptState itself.
template <class T>
KeptState to_tensors(const T& value);
template <class T>
T from_tensors(const KeptState& tensors);
}  // namespace capture

// One optimizer step of the loop. Copyable handle; valid until the loop moves on.
class Step {
 public:
  // The step's number in the run, from 0.
  [[nodiscard]] std::uint64_t number() const { return number_; }
  operator std::uint64_t() const { return number_; }

  // Moment F at its first call in a step: reads weights_in and rng; every call adds its tensors to the lane `batch`.
  // Call it just before each training forward pass, with everything the pass and the loss read (targets included).
  template <class... Tensors>
  void batch(const Tensors&... tensors) const {
    batch_of({at::Tensor(tensors)...});
  }
  void batch_of(const std::vector<at::Tensor>& tensors) const;

  // A value that a backward pass starts from; call it before (or after) each loss.backward().
  void loss(const at::Tensor& value) const;

  // A hyper-parameter the session cannot see: loss scale, arguments and result of clipping.
  void hyper(const std::string& name, double value) const;

  // torch::nn::utils::clip_grad_norm_ over the optimizer's parameters, its arguments and result recorded in `hyper`.
  double clip_grad_norm(double max_norm, double norm_type = 2.0) const;

  // Reads gradients and hyper (moment P), calls optimizer.step(), reads weights_out (moment O) and commits the step.
  // With several optimizers name the one: each update is a step of its own, numbered on (see Session).
  void update() const;
  void update(torch::optim::Optimizer& optimizer) const;
  // For optimizers that take a closure (L-BFGS): every pass belongs to this step. Returns optimizer.step()'s value.
  at::Tensor update(const std::function<at::Tensor()>& closure) const;
  at::Tensor update(torch::optim::Optimizer& optimizer, const std::function<at::Tensor()>& closure) const;
  // The update was skipped on purpose (a gradient scaler met infinities): the step keeps its number, marked skipped.
  void skip() const;

 private:
  friend class Steps;
  Step(capture::Recording* recording, std::uint64_t number) : recording_(recording), number_(number) {}
  capture::Recording* recording_;
  std::uint64_t number_;
};

// The range that Session::steps() returns: an input range of Step.
class Steps {
 public:
  class Iterator {
   public:
    Step operator*() const;
    Iterator& operator++();
    bool operator!=(const Iterator& other) const;

   private:
    friend class Steps;
    Steps* steps_ = nullptr;
  };
  Iterator begin();
  Iterator end();
  ~Steps();
  Steps(Steps&&) noexcept;

 private:
  friend class Session;
  Steps(Session* session, std::uint64_t end);
  Session* session_;
  std::uint64_t next_ = 0;
  std::uint64_t end_ = 0;
};

class Session {
 public:
  // One model and one optimizer; the usual case. `Holder` is a torch::nn::ModuleHolder or shared_ptr<Module>.
  template <class Holder>
  Session(const Holder& model, torch::optim::Optimizer& optimizer)
      : Session(Modules{{"", module_of(model)}}, Optimizers{&optimizer}) {}
  // Several modules (names prefix their parameters; "" adds none) and several optimizers (a GAN).
  using Modules = std::vector<std::pair<std::string, std::shared_ptr<torch::nn::Module>>>;
  using Optimizers = std::vector<torch::optim::Optimizer*>;
  Session(Modules modules, Optimizers optimizers);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  enum class Mode : std::uint8_t { off, recording, replaying };
  [[nodiscard]] Mode mode() const;

  // Anything else that a restart must restore (a data cursor, a scheduler, best loss so far): `get` is called when an
  // anchor is cut, `set` with the same type when a replay starts from one. Call before steps(). Names are unique.
  template <class Get, class Set>
  void keep(const std::string& name, Get get, Set set) {
    using Value = std::decay_t<decltype(get())>;
    keep_tensors(
        name, [get = std::move(get)] { return capture::to_tensors<Value>(get()); },
        [set = std::move(set)](const KeptState& state) { set(capture::from_tensors<Value>(state)); });
  }
  void keep_tensors(const std::string& name, std::function<KeptState()> get, std::function<void(const KeptState&)> set);

  // The steps to run: 0 to `count` when off or recording, the asked window when replaying (the anchor is restored here).
  [[nodiscard]] Steps steps(std::uint64_t count);

 private:
  friend class Steps;
  template <class Holder>
  static std::shared_ptr<torch::nn::Module> module_of(const Holder& holder) {
    if constexpr (std::is_convertible_v<Holder, std::shared_ptr<torch::nn::Module>>) {
      return holder;
    } else {
      return holder.ptr();
    }
  }
  std::unique_ptr<capture::Recording> recording_;
};

}  // namespace samestep

#include "replay/capture/kept_state.h"

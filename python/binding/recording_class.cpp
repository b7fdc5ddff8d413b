// torch.classes.samestep.Recording: one training process's recording, driven by the hooks of
// python/samestep/_hooks.py and _moments.py. Python calls, for each step: forward (F, once a micro-batch), loss,
// before_update (P), after_update (O). What capture asks of weights and optimizers it asks of what was handed over
// last; the hooks hand it over again where it has changed.
#include <torch/custom_class.h>
#include <torch/torch.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "python/binding/handed_program.h"
#include "replay/capture/generators.h"
#include "replay/capture/host_reads.h"
#include "replay/capture/parallel.h"
#include "replay/capture/recording.h"

namespace samestep::python {
namespace {

using capture::NamedWeight;
using capture::Options;
using Tensors = std::vector<at::Tensor>;
using Names = std::vector<std::string>;

std::vector<NamedWeight> named(const Names& names, const Tensors& tensors) {
  TORCH_CHECK(names.size() == tensors.size(), "as many names as tensors");
  std::vector<NamedWeight> weights;
  for (std::size_t i = 0; i < names.size(); ++i) weights.push_back({names[i], tensors[i]});
  return weights;
}

class PythonRecording : public torch::CustomClassHolder {
 public:
  PythonRecording() {
    loop_.end = std::numeric_limits<std::uint64_t>::max();
    loop_.started = true;
    auto weights = std::make_unique<HandedWeights>();
    weights_ = weights.get();
    program_.weights = std::move(weights);
    program_.restart = capture::Restart::fast_forward;
  }

  void hand_weights(const Names& parameter_names, const Tensors& parameters, const Names& buffer_names,
                    const Tensors& buffers) {
    TORCH_CHECK(weights_ != nullptr, "this process is not recorded");
    weights_->hand(named(parameter_names, parameters), named(buffer_names, buffers));
  }

  // Its number.
  std::int64_t add_optimizer(const std::string& class_name) {
    TORCH_CHECK(optimizers_.size() < capture::max_optimizers, "at most ", capture::max_optimizers, " optimizers");
    auto optimizer = std::make_unique<HandedOptimizer>(class_name);
    optimizers_.push_back(optimizer.get());
    if (recording_ != nullptr) {
      recording_->add_optimizer(std::move(optimizer));
    } else {
      program_.optimizers.push_back(std::move(optimizer));
    }
    return static_cast<std::int64_t>(optimizers_.size()) - 1;
  }

  // The optimizer is no more. Its number goes to another of its class, or to nobody.
  void renew_optimizer(std::int64_t optimizer) {
    of(optimizer) = HandedOptimizer(of(optimizer).class_name());
    if (recording_ != nullptr) recording_->optimizers_changed();
  }

  void hand_groups(std::int64_t optimizer, std::vector<Tensors> groups) {
    of(optimizer).hand_groups(std::move(groups));
  }

  // For each option: its group, its name, its value, and whether it differs from the optimizer's default.
  void hand_options(std::int64_t optimizer, const std::vector<std::int64_t>& groups, const Names& names,
                    const std::vector<double>& values, const std::vector<std::int64_t>& notable) {
    std::vector<Options> all(of(optimizer).groups()), differing(all.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto group = static_cast<std::size_t>(groups.at(i));
      all.at(group)[names[i]] = values.at(i);
      if (notable.at(i) != 0) differing.at(group)[names[i]] = values.at(i);
    }
    of(optimizer).hand_options(std::move(all), std::move(differing));
  }

  // For each item: group, position in it, key, kind (StateItem::Kind), tensors.
  void hand_state(std::int64_t optimizer, const std::vector<std::int64_t>& groups,
                  const std::vector<std::int64_t>& positions, const Names& keys, const std::vector<std::int64_t>& kinds,
                  const std::vector<Tensors>& tensors) {
    std::vector<capture::StateItem> items;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      items.push_back({static_cast<std::size_t>(groups.at(i)), static_cast<std::size_t>(positions.at(i)), keys[i],
                       static_cast<capture::StateItem::Kind>(kinds.at(i)), tensors.at(i)});
    }
    of(optimizer).hand_state(std::move(items));
  }

  // Python's own generators, as bytes.
  void hand_generators(const Names& names, const Tensors& states) {
    std::vector<capture::GeneratorState> all;
    for (std::size_t i = 0; i < names.size(); ++i) all.push_back({names[i], states.at(i)});
    capture::set_foreign_generators(std::move(all));
  }

  // The program has a loop over steps that can be entered anywhere: before open().
  void loops() { program_.restart = capture::Restart::either; }

  // The model is compiled, so a replay cannot leave out computing: it jumps, or computes everything. After loops(),
  // before open().
  void compiled() {
    const bool loops = program_.restart == capture::Restart::either;
    program_.restart = loops ? capture::Restart::jump : capture::Restart::start;
  }

  // This process was forked from one that may have used threads. Before open().
  void forked() { capture::stay_on_one_thread(); }

  // "off", "record" or "replay". Once, at the first training event.
  std::string open() {
    recording_ = capture::Recording::open(std::move(program_), loop_);
    loop_.recording = recording_.get();
    if (recording_ == nullptr) {
      weights_ = nullptr;  // what they point to has gone
      optimizers_.clear();
      return "off";
    }
    for (auto& [name, value] : kept_) keep(name, value);
    recording_->begin();
    return recording_->replaying() ? "replay" : "record";
  }

  void forward(const Tensors& batch) {
    if (live()) recording_->batch(batch);
  }
  void loss(const at::Tensor& value) {
    if (live()) recording_->loss(value);
  }
  void hyper(const std::string& name, double value) {
    if (live()) recording_->hyper(name, value);
  }
  void before_update(std::int64_t optimizer, bool inside_closure) {
    if (live()) recording_->before_update(static_cast<std::size_t>(optimizer), inside_closure);
  }
  // True where the coming O reads the optimizers' state: hand_state() first.
  bool state_wanted() const { return live() && recording_->state_wanted(); }
  void after_update(std::int64_t optimizer, bool skipped) {
    if (!live()) return;
    recording_->after_update(static_cast<std::size_t>(optimizer), skipped);
    ++loop_.next;
    ++loop_.made;
  }
  // What a restart goes on from: a script without a loop of steps() goes on at O.
  void end_iteration() {
    if (!live()) return;
    if (loop_.made == 0) recording_->note_idle_iteration();
    loop_.made = 0;
    const bool forward = recording_->fast_forwarding();
    recording_->end_iteration();
    arrived_ = forward && !recording_->fast_forwarding();
  }
  // The coming end_iteration() finishes an anchor: hand_kept(), hand_state() and hand_reached() first.
  bool cutting() const { return live() && recording_->cutting(); }
  void event(const std::string& kind, const std::string& text) {
    if (live()) recording_->notice(kind, text);
  }

  // Numbers that the program reads out of tensors now are not its own decision (an optimizer's, the hooks').
  void pause_reads() { capture::HostReads::pause(); }
  void resume_reads() { capture::HostReads::resume(); }
  // Tensor.tolist() and Tensor.numpy() go past the dispatcher. Notes the elements of a small tensor, or gives it those
  // that were noted.
  void read(const at::Tensor& tensor) {
    if (recording_ == nullptr || !capture::HostReads::counted() || tensor.numel() > most_read) return;
    if (!tensor.is_cpu() || tensor.layout() != at::kStrided) return;
    const at::NoGradGuard no_grad;
    recording_->fast_forwarding() ? give(tensor) : note(tensor);
  }

  // The hooks have failed: the log says why, and ends. False where there is none yet.
  bool give_up(const std::string& why) {
    if (!live()) return false;
    recording_->give_up(why);
    return true;
  }
  // Where the replay has put in the anchor's generators because they are pinned: restored_generators() holds Python's.
  bool rng_given() const { return live() && recording_->rng_given(); }

  // It cannot be brought to the anchor: the replay is told, and this process ends.
  void refuse_forward(const std::string& why) {
    if (live()) recording_->notice("restore_failed", why);
    loop_.stopped = true;
  }

  // On the way to an anchor: an optimizer's step need not be made.
  bool fast_forwarding() const { return live() && recording_->fast_forwarding(); }
  bool take_written(const Tensors& tensors) { return live() && recording_->take_written(tensors); }
  // The iteration that ended was the last before the anchor: what restored_state() gives must go into the optimizers.
  bool arrived() { return std::exchange(arrived_, false); }
  // open() has entered the loop at an anchor: the same, and what the program keeps, its options and its generators too.
  bool jumped() const { return live() && recording_->jumped(); }
  // Of one optimizer: group, name and value of the options that an anchor or a pinned lane sets.
  std::tuple<std::vector<std::int64_t>, Names, std::vector<double>> restored_options(std::int64_t optimizer) {
    std::tuple<std::vector<std::int64_t>, Names, std::vector<double>> all;
    for (const auto& [group, options] : of(optimizer).take_options()) {
      for (const auto& [name, value] : options) {
        std::get<0>(all).push_back(static_cast<std::int64_t>(group));
        std::get<1>(all).push_back(name);
        std::get<2>(all).push_back(value);
      }
    }
    return all;
  }
  // Python's own generators.
  static std::tuple<Names, Tensors> restored_generators() {
    std::tuple<Names, Tensors> all;
    for (auto& [name, state] : capture::take_foreign_restored()) {
      std::get<0>(all).push_back(name);
      std::get<1>(all).push_back(std::move(state));
    }
    return all;
  }

  // What the program keeps by names: the lane `state`. A new name begins a new table.
  void hand_kept(const Names& names, const std::vector<Tensors>& values) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto [found, is_new] = kept_.try_emplace(names[i]);
      found->second.tensors = values.at(i);
      if (is_new && recording_ != nullptr) keep(found->first, found->second);
    }
  }
  std::tuple<Names, std::vector<Tensors>> restored_kept() {
    std::tuple<Names, std::vector<Tensors>> all;
    for (auto& [name, value] : kept_) {
      if (!value.restored) continue;
      std::get<0>(all).push_back(name);
      std::get<1>(all).push_back(*std::exchange(value.restored, std::nullopt));
    }
    return all;
  }
  // Of one optimizer, as hand_state() takes it.
  using State = std::tuple<std::vector<std::int64_t>, std::vector<std::int64_t>, Names, std::vector<std::int64_t>,
                           std::vector<Tensors>>;
  State restored_state(std::int64_t optimizer) {
    State all;
    for (auto& item : of(optimizer).take_restored()) {
      std::get<0>(all).push_back(static_cast<std::int64_t>(item.group));
      std::get<1>(all).push_back(static_cast<std::int64_t>(item.position));
      std::get<2>(all).push_back(item.key);
      std::get<3>(all).push_back(static_cast<std::int64_t>(item.kind));
      std::get<4>(all).push_back(std::move(item.tensors));
    }
    return all;
  }

  // The coming O cuts an anchor: hand_reached() first.
  bool anchor_wanted() const { return live() && recording_->anchor_due(); }
  // What the program's variables hold that depends on weights, by a name each.
  void hand_reached(const Names& names, const Tensors& tensors) {
    std::vector<capture::NamedTensor> all;
    for (std::size_t i = 0; i < names.size(); ++i) all.push_back({names[i], tensors.at(i)});
    if (live()) recording_->set_reached(std::move(all));
  }
  std::tuple<Names, Tensors> restored_reached() {
    std::tuple<Names, Tensors> all;
    if (recording_ == nullptr) return all;
    for (auto& [name, tensor] : recording_->take_reached()) {
      std::get<0>(all).push_back(name);
      std::get<1>(all).push_back(std::move(tensor));
    }
    return all;
  }
  // True where a tensor's memory held nothing when the anchor was reached; ask before the next step.
  std::vector<std::int64_t> unwritten(const Tensors& tensors) const {
    std::vector<std::int64_t> flags;
    for (const auto& tensor : tensors) flags.push_back(capture::StaleMemory::made(tensor) ? 1 : 0);
    return flags;
  }

  // What is imported, where installed packages lie, and the script; `moment` is "start" or "end".
  void code(const std::string& moment, const std::string& script, const Names& module_names, const Names& module_paths,
            const Names& search_path) {
    TORCH_CHECK(module_names.size() == module_paths.size(), "as many names as paths");
    if (recording_ == nullptr) return;
    protocol::Code code{moment, script, {}, {}, search_path};
    for (std::size_t i = 0; i < module_names.size(); ++i) code.modules.emplace_back(module_names[i], module_paths[i]);
    recording_->code(std::move(code));
  }

  bool live() const { return recording_ != nullptr && recording_->live(); }
  // A replay has seen what it asked for.
  bool stopped() const { return loop_.stopped || loop_.next >= loop_.end; }
  // The number that the next update gets.
  std::int64_t steps() const { return static_cast<std::int64_t>(loop_.next); }
  void bye(bool by_exception) {
    if (recording_ != nullptr) recording_->bye(by_exception);
    recording_.reset();
  }

 private:
  void keep(const std::string& name, HandedValue& value) {  // a map's values stay where they are
    recording_->keep({name, [&value] { return value.tensors; }, [&value](const Tensors& t) { value.restored = t; }});
  }

  static constexpr std::int64_t most_read = 64;  // elements

  static void note(const at::Tensor& tensor) {
    std::vector<std::uint64_t> numbers;
    {
      const capture::HostReads::Unread unread;
      const auto flat = tensor.detach().contiguous().view(-1);
      for (std::int64_t i = 0; i < flat.numel(); ++i) numbers.push_back(capture::bits_of(flat[i].item()));
    }
    for (const auto number : numbers) capture::HostReads::note(number);
  }
  void give(const at::Tensor& tensor) const {
    const bool stale = recording_->is_stale(tensor);
    std::vector<at::Scalar> numbers;
    for (std::int64_t i = 0; i < tensor.numel(); ++i) {
      numbers.push_back(capture::scalar_from(capture::HostReads::next(), tensor.scalar_type()));
    }
    if (!stale) return;
    auto flat = at::empty({tensor.numel()}, tensor.options());
    for (std::int64_t i = 0; i < tensor.numel(); ++i) flat[i].fill_(numbers[static_cast<std::size_t>(i)]);
    std::memcpy(tensor.mutable_data_ptr(), flat.const_data_ptr(), tensor.is_contiguous() ? tensor.nbytes() : 0);
  }

  HandedOptimizer& of(std::int64_t optimizer) { return *optimizers_.at(static_cast<std::size_t>(optimizer)); }

  capture::Loop loop_;
  bool arrived_ = false;
  capture::TrainingProgram program_;  // until open()
  HandedWeights* weights_ = nullptr;
  std::vector<HandedOptimizer*> optimizers_;
  std::map<std::string, HandedValue> kept_;
  std::unique_ptr<capture::Recording> recording_;
};

TORCH_LIBRARY(samestep, library) {
  library.class_<PythonRecording>("Recording")
      .def(torch::init<>())
      .def("hand_weights", &PythonRecording::hand_weights)
      .def("add_optimizer", &PythonRecording::add_optimizer)
      .def("hand_groups", &PythonRecording::hand_groups)
      .def("hand_options", &PythonRecording::hand_options)
      .def("hand_state", &PythonRecording::hand_state)
      .def("hand_generators", &PythonRecording::hand_generators)
      .def("loops", &PythonRecording::loops)
      .def("compiled", &PythonRecording::compiled)
      .def("forked", &PythonRecording::forked)
      .def("open", &PythonRecording::open)
      .def("refuse_forward", &PythonRecording::refuse_forward)
      .def("forward_", &PythonRecording::forward)
      .def("loss", &PythonRecording::loss)
      .def("hyper", &PythonRecording::hyper)
      .def("before_update", &PythonRecording::before_update)
      .def("state_wanted", &PythonRecording::state_wanted)
      .def("after_update", &PythonRecording::after_update)
      .def("event", &PythonRecording::event)
      .def("pause_reads", &PythonRecording::pause_reads)
      .def("resume_reads", &PythonRecording::resume_reads)
      .def("read", &PythonRecording::read)
      .def("fast_forwarding", &PythonRecording::fast_forwarding)
      .def("take_written", &PythonRecording::take_written)
      .def("end_iteration", &PythonRecording::end_iteration)
      .def("cutting", &PythonRecording::cutting)
      .def("arrived", &PythonRecording::arrived)
      .def("jumped", &PythonRecording::jumped)
      .def("restored_options", &PythonRecording::restored_options)
      .def("restored_generators",
           [](const c10::intrusive_ptr<PythonRecording>&) { return PythonRecording::restored_generators(); })
      .def("renew_optimizer", &PythonRecording::renew_optimizer)
      .def("give_up", &PythonRecording::give_up)
      .def("rng_given", &PythonRecording::rng_given)
      .def("hand_kept", &PythonRecording::hand_kept)
      .def("restored_kept", &PythonRecording::restored_kept)
      .def("restored_state", &PythonRecording::restored_state)
      .def("anchor_wanted", &PythonRecording::anchor_wanted)
      .def("hand_reached", &PythonRecording::hand_reached)
      .def("restored_reached", &PythonRecording::restored_reached)
      .def("unwritten", &PythonRecording::unwritten)
      .def("code", &PythonRecording::code)
      .def("live", &PythonRecording::live)
      .def("stopped", &PythonRecording::stopped)
      .def("steps", &PythonRecording::steps)
      .def("bye", &PythonRecording::bye);
}

}  // namespace
}  // namespace samestep::python

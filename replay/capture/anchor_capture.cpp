#include <unordered_map>
#include <unordered_set>

#include "replay/capture/anchor.h"
#include "replay/capture/option_json.h"

namespace samestep::capture {
namespace {

std::vector<NamedTensor> state_now(const Program& program) {
  std::vector<NamedTensor> named;
  for (const auto& slot : program.parameters.slots()) named.push_back({"weights_out/" + slot.name, slot.tensor});
  for (const auto& entry : optimizer_entries(program.optimizers, program.parameters)) {
    append_named(named, "optimizer", entry);
  }
  for (const auto& generator : generator_states()) named.push_back({"rng/" + generator.name, generator.state});
  for (const auto& entry : kept_entries(program.kept)) append_named(named, "state", entry);
  for (const auto& [name, tensor] : program.reached) named.push_back({"reached/" + name, tensor});
  return named;
}

// A list goes in whole or not at all: the name up to the index.
std::string list_of(const std::string& name) {
  return name.starts_with("state/") ? name.substr(0, name.rfind('/')) : name;
}

nlohmann::json group_json(const Options& options, const Options& initial) {
  return {{"options", to_json(options)}, {"initial", to_json(initial)}};
}

// What each key of the state is: a number and a tensor with one element look alike in a file.
nlohmann::json kinds_json(const Optimizer& optimizer) {
  auto kinds = nlohmann::json::object();
  if (!optimizer.known()) return kinds;
  for (const auto& item : optimizer.state()) kinds[item.key] = static_cast<std::uint8_t>(item.kind);
  return kinds;
}

nlohmann::json optimizers_json(const Optimizers& optimizers, const AllOptions& initial) {
  auto all = nlohmann::json::array();
  for (std::size_t number = 0; number < optimizers.size(); ++number) {
    auto groups = nlohmann::json::array();
    for (std::size_t group = 0; group < optimizers[number]->groups(); ++group) {
      groups.push_back(group_json(optimizers[number]->options(group), initial[number][group]));
    }
    all.push_back({{"class", optimizers[number]->class_name()},
                   {"groups", std::move(groups)},
                   {"kinds", kinds_json(*optimizers[number])}});
  }
  return all;
}

}  // namespace

void add_first_options(AllOptions& first, const Optimizers& optimizers) {
  first.resize(optimizers.size());
  for (std::size_t number = 0; number < optimizers.size(); ++number) {
    first[number].resize(optimizers[number]->groups());
    for (std::size_t group = 0; group < first[number].size(); ++group) {
      if (first[number][group].empty()) first[number][group] = optimizers[number]->options(group);
    }
  }
}

AnchorCut::AnchorCut(const Program& program, std::uint64_t step, std::uint64_t number)
    : step_(step), number_(number), tensors_(state_now(program)) {
  for (auto& [name, tensor] : tensors_) tensor = host_copy(tensor);
}

std::vector<NamedTensor> AnchorCut::with_changes(const Program& program) const {
  std::unordered_map<std::string, const at::Tensor*> cut;
  for (const auto& [name, tensor] : tensors_) cut.emplace(name, &tensor);
  const auto now = state_now(program);
  std::unordered_set<std::string> changed;
  for (const auto& [name, tensor] : now) {
    const auto before = cut.find(name);
    if (before == cut.end() || !same_bits(*before->second, tensor)) changed.insert(list_of(name));
  }
  auto tensors = tensors_;
  for (const auto& [name, tensor] : now) {
    if (changed.contains(list_of(name))) tensors.push_back({"resume/" + name, tensor});
  }
  return tensors;
}

MemoryFile AnchorCut::finish(const Program& program, const AllOptions& initial, const Options& hyper,
                             std::uint32_t rank) const {
  const nlohmann::json about{{"format", 1},
                             {"rank", rank},
                             {"step", step_},
                             {"number", number_},
                             {"optimizers", optimizers_json(program.optimizers, initial)},
                             {"hyper", to_json(hyper)}};
  return MemoryFile(with_changes(program), {{"samestep", about.dump()}});
}

}  // namespace samestep::capture

#include <map>

#include "replay/capture/anchor.h"
#include "replay/capture/option_json.h"
#include "replay/run/error.h"

namespace samestep::capture {
namespace {

std::string shape_text(const Shape& shape) {
  std::string text = "[";
  for (const auto size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

std::string described(DType dtype, const Shape& shape) {
  return std::string(name(dtype)) + shape_text(shape);
}

// The file's tensors by what they are for: "resume/" goes before what stood at O.
class AnchorFile {
 public:
  AnchorFile(std::span<const std::byte> bytes, std::uint64_t step) : file_(parse_safetensors(bytes, "the anchor")) {
    const auto metadata = file_.metadata.find("samestep");
    if (metadata == file_.metadata.end()) throw BrokenInput("the anchor has no metadata \"samestep\"");
    about_ = nlohmann::json::parse(metadata->second);
    if (about_.at("step").get<std::uint64_t>() != step) {
      throw BrokenInput("an anchor of step " + std::to_string(step) + " was expected, this one is of step " +
                        about_.at("step").dump());
    }
    for (const auto& view : file_.tensors) views_.emplace(view.name, &view);
  }

  [[nodiscard]] const nlohmann::json& about() const { return about_; }
  [[nodiscard]] const TensorView* find(const std::string& name) const {
    for (const auto& candidate : {"resume/" + name, name}) {
      if (const auto found = views_.find(candidate); found != views_.end()) return found->second;
    }
    return nullptr;
  }
  // "<name>/0", "<name>/1", ...; as far as they go, all from one moment.
  [[nodiscard]] std::vector<const TensorView*> list(const std::string& name) const {
    const bool changed = views_.contains("resume/" + name + "/0");
    std::vector<const TensorView*> views;
    for (std::size_t i = 0;; ++i) {
      const auto found = views_.find((changed ? "resume/" : "") + name + "/" + std::to_string(i));
      if (found == views_.end()) return views;
      views.push_back(found->second);
    }
  }
  // Names behind `prefix`, in the file's order.
  [[nodiscard]] std::vector<std::string> names(const std::string& prefix) const {
    std::vector<std::string> found;
    for (const auto& view : file_.tensors) {
      if (view.name.starts_with(prefix)) found.push_back(view.name.substr(prefix.size()));
    }
    return found;
  }

 private:
  Safetensors file_;
  nlohmann::json about_;
  std::map<std::string, const TensorView*> views_;
};

// What the anchor calls each slot.
std::vector<std::string> recorded_names(const AnchorFile& file, const std::vector<WeightSlot>& slots) {
  const auto order = file.names("weights_out/");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const bool by_name = file.find("weights_out/" + slots[i].name) != nullptr;
    if (!by_name && order.size() != slots.size()) {
      throw BrokenInput("the anchor has no tensor for " + slots[i].name + ", and " + std::to_string(order.size()) +
                        " weights where the program has " + std::to_string(slots.size()));
    }
    names.push_back(by_name ? slots[i].name : order[i]);
  }
  return names;
}

void check_fits(const TensorView& view, const WeightSlot& slot) {
  if (view.dtype == dtype_of(slot.tensor) && view.shape == shape_of(slot.tensor)) return;
  throw BrokenInput("weight " + slot.name + ": the anchor has " + described(view.dtype, view.shape) +
                    ", the program has " + described(dtype_of(slot.tensor), shape_of(slot.tensor)));
}

void check_optimizers(const AnchorFile& file, const Optimizers& optimizers) {
  const auto& recorded = file.about().at("optimizers");
  if (recorded.size() != optimizers.size()) {
    throw BrokenInput("the anchor has " + std::to_string(recorded.size()) + " optimizers, the program has " +
                      std::to_string(optimizers.size()));
  }
  for (std::size_t i = 0; i < optimizers.size(); ++i) {
    const auto was = recorded[i].at("class").get<std::string>();
    const auto now = optimizers[i]->class_name();
    if (was != now) throw BrokenInput("optimizer " + std::to_string(i) + " was " + was + ", now it is " + now);
  }
}

void check_kept(const AnchorFile& file, const std::vector<Kept>& kept) {
  std::map<std::string, bool> recorded;
  for (const auto& name : file.names("state/")) recorded[name.substr(0, name.rfind('/'))] = false;
  for (const auto& value : kept) {
    if (const auto found = recorded.find(value.name); found != recorded.end()) found->second = true;
  }
  for (const auto& [name, found] : recorded) {
    if (!found)
      throw BrokenInput("the recorded program kept \"" + name + "\"; this one does not: add keep(\"" + name + "\")");
  }
}

std::vector<at::Tensor> tensors_of(const std::vector<const TensorView*>& views) {
  std::vector<at::Tensor> tensors;
  for (const auto* view : views) tensors.push_back(tensor_over(*view).clone());
  return tensors;
}

void restore_weights(const AnchorFile& file, const std::vector<WeightSlot>& slots,
                     const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < slots.size(); ++i) check_fits(*file.find("weights_out/" + names[i]), slots[i]);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    overwrite(slots[i].tensor, tensor_over(*file.find("weights_out/" + names[i])));
  }
}

// Where the file has none, the optimizer knows its own.
StateKinds kinds_of(const nlohmann::json& optimizer) {
  StateKinds kinds;
  const auto recorded = optimizer.value("kinds", nlohmann::json::object());
  for (const auto& [key, kind] : recorded.items()) {
    const auto number = kind.get<std::uint64_t>();
    if (number > static_cast<std::uint64_t>(StateItem::Kind::list)) {
      throw BrokenInput("the anchor's optimizer state \"" + key + "\" is of the unknown kind " +
                        std::to_string(number));
    }
    kinds[key] = static_cast<StateItem::Kind>(number);
  }
  return kinds;
}

void restore_optimizers(const AnchorFile& file, const Program& program, const std::vector<std::string>& names) {
  for (std::size_t number = 0; number < program.optimizers.size(); ++number) {
    auto& optimizer = *program.optimizers[number];
    if (!optimizer.known()) continue;
    const auto kinds = kinds_of(file.about().at("optimizers")[number]);
    for (std::size_t group = 0; group < optimizer.groups(); ++group) {
      const auto& parameters = optimizer.parameters(group);
      for (std::size_t position = 0; position < parameters.size(); ++position) {
        const auto& recorded = names[program.parameters.find(parameters[position])];
        optimizer.set_state(group, position, kinds, [&](const std::string& key) {
          const auto column = "optimizer/" + optimizer_column(number, recorded, key);
          const auto* view = file.find(column);
          return tensors_of(view != nullptr ? std::vector{view} : file.list(column));
        });
      }
    }
  }
}

// Those of `recorded` that a schedule had moved, where this program began with the same value as the recorded one.
Options moved_options(const nlohmann::json& recorded, const Options& now, const std::string& where,
                      std::vector<std::string>& notes) {
  const auto was = options_from(recorded.at("options")), began = options_from(recorded.at("initial"));
  Options moved;
  for (const auto& [name, value] : now) {
    if (!was.contains(name) || !began.contains(name)) continue;
    if (began.at(name) == value) {
      if (was.at(name) != value) moved[name] = was.at(name);
    } else {
      notes.push_back(where + name + " began as " + nlohmann::json(began.at(name)).dump() +
                      " in the recorded run and as " + nlohmann::json(value).dump() +
                      " now; the program's value stays");
    }
  }
  return moved;
}

void restore_options(const AnchorFile& file, const Program& program, const AllOptions& initial,
                     std::vector<std::string>& notes) {
  const auto& recorded = file.about().at("optimizers");
  for (std::size_t number = 0; number < program.optimizers.size(); ++number) {
    auto& optimizer = *program.optimizers[number];
    const auto& recorded_groups = recorded[number].at("groups");
    for (std::size_t group = 0; group < std::min(optimizer.groups(), recorded_groups.size()); ++group) {
      const auto where = std::to_string(number) + ".group" + std::to_string(group) + ".";
      optimizer.set_options(group, moved_options(recorded_groups[group], initial[number][group], where, notes));
    }
  }
}

void restore_kept(const AnchorFile& file, const std::vector<Kept>& kept, std::vector<std::string>& notes) {
  for (const auto& value : kept) {
    const auto views = file.list("state/" + value.name);
    if (views.empty()) {
      notes.push_back("the recorded program did not keep \"" + value.name + "\": it starts as the program made it");
      continue;
    }
    value.set(tensors_of(views));
  }
}

// Last: whatever was called before may have drawn numbers.
void restore_generators(const AnchorFile& file) {
  for (const auto& name : file.names("rng/")) set_generator_state(name, tensor_over(*file.find("rng/" + name)).clone());
}

// Whatever the file's contents raise is broken input.
template <class Work>
auto of_hostile_file(Work&& work) {
  const at::NoGradGuard no_grad;
  try {
    return work();
  } catch (const nlohmann::json::exception& error) {
    throw BrokenInput(std::string("the anchor's metadata: ") + error.what());
  } catch (const std::invalid_argument& error) {
    throw BrokenInput(error.what());
  }
}

}  // namespace

Restored restore_anchor(std::span<const std::byte> bytes, const Program& program, std::uint64_t step,
                        const AllOptions& initial) {
  return of_hostile_file([&] {
    const AnchorFile file(bytes, step);
    const auto& slots = program.parameters.slots();
    const auto names = recorded_names(file, slots);
    check_optimizers(file, program.optimizers);
    check_kept(file, program.kept);
    Restored restored{file.about().at("number").get<std::uint64_t>(), {}, {}};
    restore_weights(file, slots, names);
    restore_optimizers(file, program, names);
    restore_options(file, program, initial, restored.notes);
    restore_kept(file, program.kept, restored.notes);
    for (const auto& name : file.names("reached/")) {
      restored.reached.push_back({name, tensor_over(*file.find("reached/" + name)).clone()});
    }
    restore_generators(file);
    return restored;
  });
}

void restore_anchor_generators(std::span<const std::byte> bytes, std::uint64_t step) {
  of_hostile_file([&] { restore_generators(AnchorFile(bytes, step)); });
}

}  // namespace samestep::capture

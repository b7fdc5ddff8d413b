#include "replay/capture/generators.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace samestep::capture {
namespace {

GeneratorState state_of(std::string name, at::Generator generator) {
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return {std::move(name), generator.get_state()};
}

// A device whose context exists: asking for another's generator would create one.
bool in_use(int device) {
  return at::detail::getCUDAHooks().hasPrimaryContext(static_cast<at::DeviceIndex>(device));
}

at::Generator generator_of(const std::string& name) {
  if (name == "cpu") return at::detail::getDefaultCPUGenerator();
  const at::Device device(name);
  if (!device.is_cuda() || !at::hasCUDA()) {
    throw std::invalid_argument("the anchor has a state of generator " + name + ", which is not here");
  }
  return at::globalContext().defaultGenerator(device);
}

void add_devices(std::vector<GeneratorState>& states) {
  if (!at::hasCUDA()) return;
  for (int device = 0; device < at::detail::getCUDAHooks().getNumGPUs(); ++device) {
    if (!in_use(device)) continue;
    const at::Device where(at::kCUDA, static_cast<at::DeviceIndex>(device));
    states.push_back(state_of("cuda:" + std::to_string(device), at::globalContext().defaultGenerator(where)));
  }
}

// As the Python package calls them.
constexpr std::array<std::string_view, 2> foreign_names{"python", "numpy"};

std::vector<GeneratorState>& foreign_generators() {
  static std::vector<GeneratorState> states;
  return states;
}

std::vector<GeneratorState>& foreign_restored() {
  static std::vector<GeneratorState> states;
  return states;
}

}  // namespace

std::vector<GeneratorState> generator_states() {
  std::vector<GeneratorState> states{state_of("cpu", at::detail::getDefaultCPUGenerator())};
  add_devices(states);
  states.insert(states.end(), foreign_generators().begin(), foreign_generators().end());
  return states;
}

void set_foreign_generators(std::vector<GeneratorState> states) {
  foreign_generators() = std::move(states);
}

std::vector<GeneratorState> take_foreign_restored() {
  return std::exchange(foreign_restored(), {});
}

void set_generator_state(const std::string& name, const at::Tensor& state) {
  if (std::ranges::find(foreign_names, name) != foreign_names.end()) {
    foreign_restored().push_back({name, state});
    return;
  }
  auto generator = generator_of(name);
  const std::lock_guard<std::mutex> lock(generator.mutex());
  try {
    generator.set_state(state);
  } catch (const c10::Error& error) {
    throw std::invalid_argument("generator " + name + " refuses the anchor's state: " + error.what_without_backtrace());
  }
}

}  // namespace samestep::capture

#include "replay/capture/generators.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <mutex>
#include <stdexcept>

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

}  // namespace

std::vector<GeneratorState> generator_states() {
  std::vector<GeneratorState> states{state_of("cpu", at::detail::getDefaultCPUGenerator())};
  if (!at::hasCUDA()) return states;
  for (int device = 0; device < at::detail::getCUDAHooks().getNumGPUs(); ++device) {
    if (!in_use(device)) continue;
    const at::Device where(at::kCUDA, static_cast<at::DeviceIndex>(device));
    states.push_back(state_of("cuda:" + std::to_string(device), at::globalContext().defaultGenerator(where)));
  }
  return states;
}

void set_generator_state(const std::string& name, const at::Tensor& state) {
  auto generator = generator_of(name);
  const std::lock_guard<std::mutex> lock(generator.mutex());
  try {
    generator.set_state(state);
  } catch (const c10::Error& error) {
    throw std::invalid_argument("generator " + name + " refuses the anchor's state: " + error.what_without_backtrace());
  }
}

}  // namespace samestep::capture

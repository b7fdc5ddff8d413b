#include "replay/capture/device_kernels.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "replay/capture/recorder_link.h"

namespace samestep::capture {
namespace {

constexpr const char* file_name = "libsamestep_cuda.so";

// The folder of the shared object that this code is part of: the Python package's.
std::filesystem::path own_folder() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&own_folder), &info) == 0 || info.dli_fname == nullptr) return {};
  return std::filesystem::path(info.dli_fname).parent_path();
}

std::vector<std::string> candidates() {
  if (const char* named = std::getenv("SAMESTEP_CUDA_LIBRARY"); named != nullptr) return {named};
  std::error_code none;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", none).parent_path();
  return {own_folder() / file_name, program / file_name, program / ".." / "lib" / file_name, file_name};
}

void* open_library() {
  for (const auto& candidate : candidates()) {
    if (void* library = ::dlopen(candidate.c_str(), RTLD_NOW | RTLD_LOCAL); library != nullptr) return library;
  }
  return nullptr;
}

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

}  // namespace

DeviceKernels* DeviceKernels::load() {
  static const auto kernels = open();
  return kernels.get();
}

std::unique_ptr<DeviceKernels> DeviceKernels::open() {
  std::unique_ptr<DeviceKernels> kernels(new DeviceKernels);
  void* library = open_library();
  if (library != nullptr && kernels->resolve(library)) return kernels;
  say(std::string(file_name) +
      " was not found or does not fit; CUDA tensors are copied to the host to be digested (slow)");
  return nullptr;
}

bool DeviceKernels::resolve(void* library) {
  decltype(&samestep_cuda_version) version = nullptr;
  decltype(&samestep_cuda_device_count) devices = nullptr;
  return find(library, "samestep_cuda_version", version) && version() == SAMESTEP_CUDA_VERSION &&
         find(library, "samestep_cuda_device_count", devices) && devices() > 0 &&
         find(library, "samestep_cuda_error", error_) && find(library, "samestep_cuda_open", open_) &&
         find(library, "samestep_cuda_digest", digest) && find(library, "samestep_cuda_summarize", summarize);
}

samestep_cuda_workspace* DeviceKernels::workspace(int device) {
  auto& workspace = workspaces_[device];
  if (workspace == nullptr) check(open_(&workspace));
  return workspace;
}

void DeviceKernels::check(int code) const {
  if (code != 0) throw std::runtime_error(std::string("digests on the device: ") + error_(code));
}

}  // namespace samestep::capture

#include "replay/capture/tensor_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <system_error>

#include "replay/capture/tensors.h"

namespace samestep::capture {
namespace {

// safetensors packs tensors of any type one behind the other.
bool aligned(const TensorView& view) {
  return reinterpret_cast<std::uintptr_t>(view.data.data()) % element_size(view.dtype) == 0;
}

// While it lives, a write past the process's limit of file sizes (ulimit -f), which files in memory have too, fails in
// this thread with EFBIG and nothing else: SIGXFSZ would end the training.
class NoSizeSignal {
 public:
  NoSizeSignal() {
    sigemptyset(&signal_);
    sigaddset(&signal_, SIGXFSZ);
    sigset_t pending;
    sigemptyset(&pending);
    was_pending_ = ::sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ) == 1;
    blocked_ = ::pthread_sigmask(SIG_BLOCK, &signal_, &mask_) == 0;
  }
  ~NoSizeSignal() {
    if (!blocked_) return;
    const timespec at_once{0, 0};
    while (!was_pending_ && ::sigtimedwait(&signal_, nullptr, &at_once) < 0 && errno == EINTR) {
    }
    ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  }
  NoSizeSignal(const NoSizeSignal&) = delete;
  NoSizeSignal& operator=(const NoSizeSignal&) = delete;

 private:
  sigset_t signal_{}, mask_{};
  bool was_pending_ = false, blocked_ = false;
};

}  // namespace

MemoryFile::MemoryFile(const std::vector<NamedTensor>& tensors, const std::map<std::string, std::string>& metadata)
    : descriptor_(::memfd_create("samestep", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
  if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "a file in memory");
  std::vector<at::Tensor> host;
  std::vector<TensorView> views;
  for (const auto& [name, tensor] : tensors) {
    host.push_back(on_host(tensor));
    const auto* data = static_cast<const std::byte*>(host.back().const_data_ptr());
    views.push_back({name, dtype_of(host.back()), shape_of(host.back()), {data, host.back().nbytes()}});
  }
  const auto head = safetensors_head(views, metadata);
  const NoSizeSignal no_signal;
  write(head.data(), head.size());
  for (const auto& view : views) write(view.data.data(), view.data.size());
  ::fcntl(descriptor_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
}

MemoryFile::~MemoryFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void MemoryFile::write(const void* data, std::size_t size) const {
  const auto* bytes = static_cast<const std::byte*>(data);
  while (size != 0) {
    const auto written = ::write(descriptor_, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw std::system_error(errno, std::generic_category(), "writing a file in memory");
    bytes += written;
    size -= static_cast<std::size_t>(written);
  }
}

at::Tensor tensor_over(const TensorView& view) {
  const auto options = at::TensorOptions(scalar_type(view.dtype));
  if (aligned(view)) return at::from_blob(const_cast<std::byte*>(view.data.data()), view.shape, options);
  auto copy = at::empty(view.shape, options);
  std::copy(view.data.begin(), view.data.end(), static_cast<std::byte*>(copy.mutable_data_ptr()));
  return copy;
}

}  // namespace samestep::capture

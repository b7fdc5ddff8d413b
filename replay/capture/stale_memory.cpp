#include "replay/capture/stale_memory.h"

#include <c10/core/CPUAllocator.h>

#include <sys/mman.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

namespace samestep::capture {
namespace {

// Smaller blocks come from the heap; pages of their own cost two system calls.
constexpr std::size_t own_pages = std::size_t{1} << 17;

struct Block {
  void* memory = nullptr;
  std::size_t bytes = 0;
  bool stale = true;
};

void free_block(void* context) {
  const std::unique_ptr<Block> block(static_cast<Block*>(context));
  if (block->bytes >= own_pages) {
    ::munmap(block->memory, block->bytes);
  } else {
    std::free(block->memory);
  }
}

at::DataPtr zeros(std::size_t bytes) {
  auto block = std::make_unique<Block>();
  block->bytes = bytes;
  if (bytes >= own_pages) {
    block->memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block->memory == MAP_FAILED) throw std::bad_alloc();
  } else {
    block->memory = std::calloc(1, bytes + 64);  // vector kernels may load a little beyond the end
    if (block->memory == nullptr) throw std::bad_alloc();
  }
  void* const memory = block->memory;
  return {memory, block.release(), &free_block, at::Device(at::kCPU)};
}

const c10::StorageImpl* storage_of(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.has_storage()) return nullptr;
  return tensor.unsafeGetTensorImpl()->unsafe_storage().unsafeGetStorageImpl();
}

Block* block_of(const c10::StorageImpl& storage) {
  return storage.data_ptr().cast_context<Block>(&free_block);
}

}  // namespace

at::Tensor StaleMemory::make(at::IntArrayRef sizes, at::IntArrayRef strides, at::ScalarType type) {
  const auto dtype = c10::scalarTypeToTypeMeta(type);
  const auto bytes = at::detail::computeStorageNbytes(sizes, strides, dtype.itemsize());
  c10::Storage storage(c10::Storage::use_byte_size_t(), bytes, zeros(bytes), c10::GetCPUAllocator(),
                       /*resizable=*/true);
  auto tensor =
      at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(c10::DispatchKey::CPU), dtype);
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides);
  return tensor;
}

bool StaleMemory::made(const at::Tensor& tensor) {
  const auto* storage = storage_of(tensor);
  if (storage == nullptr) return false;
  const auto* block = block_of(*storage);
  return block != nullptr && block->stale;
}

bool StaleMemory::holds(const at::Tensor& tensor) const {
  if (tensor.defined() && tensor.is_sparse()) return holds(tensor._values());
  const auto* storage = storage_of(tensor);
  if (storage == nullptr) return false;
  if (const auto* block = block_of(*storage); block != nullptr) return block->stale;
  const std::scoped_lock lock(mutex_);
  return listed_.contains(storage);
}

void StaleMemory::add(const at::Tensor& tensor) {
  const auto* storage = storage_of(tensor);
  if (storage == nullptr) return;
  if (auto* block = block_of(*storage); block != nullptr) {
    block->stale = true;
    return;
  }
  const std::scoped_lock lock(mutex_);
  listed_.try_emplace(storage, Listed{tensor.storage().getWeakStorageImpl(), false});
}

void StaleMemory::write(const at::Tensor& tensor) {
  add(tensor);
  const std::scoped_lock lock(mutex_);
  if (const auto found = listed_.find(storage_of(tensor)); found != listed_.end()) found->second.written = true;
}

bool StaleMemory::take_written(const at::Tensor& tensor) {
  const std::scoped_lock lock(mutex_);
  const auto found = listed_.find(storage_of(tensor));
  return found != listed_.end() && std::exchange(found->second.written, false);
}

void StaleMemory::remove(const at::Tensor& tensor) {
  const auto* storage = storage_of(tensor);
  if (storage == nullptr) return;
  const bool covers = tensor.is_non_overlapping_and_dense() &&
                      static_cast<std::size_t>(tensor.numel()) * tensor.element_size() >= storage->nbytes();
  if (!covers) return;
  if (auto* block = block_of(*storage); block != nullptr) {
    block->stale = false;
    return;
  }
  const std::scoped_lock lock(mutex_);
  listed_.erase(storage);
}

}  // namespace samestep::capture

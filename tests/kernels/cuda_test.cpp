// The kernels on a real device, through libsamestep_cuda.so as a program would use it. Says "no CUDA device" and succeeds
// where there is none. Needs nothing but kernels/: no LibTorch, no HDF5, no test framework, so it runs on a bare machine:
//   cuda_test [--benchmark]
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/cuda/api.h"
#include "kernels/digest.h"
#include "kernels/summary.h"
#include "tests/kernels/vectors.h"

using namespace samestep;

namespace {

int failures = 0;

void expect(bool condition, const std::string& what) {
  if (condition) return;
  ++failures;
  std::printf("FAILED: %s\n", what.c_str());
}

void check(cudaError_t code) {
  if (code == cudaSuccess) return;
  std::printf("FAILED: CUDA: %s\n", cudaGetErrorString(code));
  std::exit(1);
}

struct Library {
  void* handle = dlopen(SAMESTEP_CUDA_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  template <class Function>
  Function* find(const char* symbol) const {
    return reinterpret_cast<Function*>(dlsym(handle, symbol));
  }
  decltype(samestep_cuda_device_count)* device_count = find<decltype(samestep_cuda_device_count)>("samestep_cuda_device_count");
  decltype(samestep_cuda_open)* open = find<decltype(samestep_cuda_open)>("samestep_cuda_open");
  decltype(samestep_cuda_close)* close = find<decltype(samestep_cuda_close)>("samestep_cuda_close");
  decltype(samestep_cuda_digest)* digest = find<decltype(samestep_cuda_digest)>("samestep_cuda_digest");
  decltype(samestep_cuda_summarize)* summarize = find<decltype(samestep_cuda_summarize)>("samestep_cuda_summarize");
};

// Bytes on the device and on the host.
struct Twin {
  std::vector<std::uint8_t> host;
  std::uint8_t* device = nullptr;
  explicit Twin(std::vector<std::uint8_t> bytes) : host(std::move(bytes)) {
    check(cudaMalloc(reinterpret_cast<void**>(&device), host.size()));
    check(cudaMemcpy(device, host.data(), host.size(), cudaMemcpyHostToDevice));
  }
  ~Twin() { cudaFree(device); }
};

struct Session {
  Library library;
  samestep_cuda_workspace* workspace = nullptr;
  cudaStream_t stream = nullptr;

  std::vector<Digest> digest(const std::vector<samestep_cuda_buffer>& buffers) const {
    std::vector<Digest> digests(buffers.size());
    expect(library.digest(workspace, buffers.data(), buffers.size(), digests[0].bytes.data(), stream) == 0, "digest()");
    check(cudaStreamSynchronize(stream));
    return digests;
  }
  std::vector<Summary> summarize(const std::vector<samestep_cuda_tensor>& tensors) const {
    std::vector<Summary> summaries(tensors.size());
    expect(library.summarize(workspace, tensors.data(), tensors.size(), summaries.data(), stream) == 0, "summarize()");
    check(cudaStreamSynchronize(stream));
    return summaries;
  }
};

void digests_give_the_official_vectors(const Session& session) {
  const Twin data(message());
  std::vector<samestep_cuda_buffer> buffers;
  for (const auto& [length, expected] : vectors()) buffers.push_back({data.device, length});
  const auto digests = session.digest(buffers);
  for (std::size_t i = 0; i < buffers.size(); ++i)
    expect(digests[i].hex() == vectors()[i].digest, "vector of " + std::to_string(buffers[i].size) + " bytes");
}

void digests_equal_the_host_on_random_lists(const Session& session) {
  const Twin data(message());
  std::mt19937_64 random(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<samestep_cuda_buffer> buffers(1 + random() % 400);
    std::vector<Buffer> host;
    for (samestep_cuda_buffer& buffer : buffers) {
      const std::size_t offset = random() % 1000;
      buffer = {data.device + offset, random() % (std::size_t{1} << (random() % 20))};
      host.push_back({data.host.data() + offset, buffer.size});
    }
    std::vector<Digest> expected(host.size());
    digest(host, expected);
    expect(session.digest(buffers) == expected, "random list " + std::to_string(round));
  }
}

void summaries_have_the_bits_of_the_host(const Session& session) {
  std::mt19937_64 random(4);
  std::vector<std::uint8_t> bytes(std::size_t{40} << 20);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random() >> 40);
  const Twin data(bytes);
  std::vector<samestep_cuda_tensor> tensors;
  std::vector<TypedBuffer> host;
  for (int value = 1; value <= 17; ++value)
    for (const std::size_t elements : {0u, 1u, 33u, 4095u, 4097u, 20000u, 2000000u}) {
      tensors.push_back({data.device, elements, static_cast<std::uint8_t>(value)});
      host.push_back({data.host.data(), elements, static_cast<DType>(value)});
    }
  std::vector<Summary> expected(host.size());
  summarize(host, expected);
  const auto found = session.summarize(tensors);
  for (std::size_t i = 0; i < host.size(); ++i)
    expect(std::memcmp(&found[i], &expected[i], sizeof(Summary)) == 0,
           "summary of " + std::string(name(host[i].dtype)) + " x " + std::to_string(host[i].elements));
}

// Work on the stream comes before and after; the digest is of what lay there in between.
void digests_keep_their_place_in_the_stream(const Session& session) {
  std::vector<std::uint8_t> bytes(std::size_t{64} << 20, 1);
  const Twin data(bytes);
  const samestep_cuda_buffer buffer{data.device, bytes.size()};
  const Buffer host{bytes.data(), bytes.size()};
  for (int round = 0; round < 20; ++round) {
    check(cudaMemsetAsync(data.device, round, bytes.size(), session.stream));
    Digest* found = nullptr;
    check(cudaMallocHost(reinterpret_cast<void**>(&found), sizeof(Digest)));
    expect(session.library.digest(session.workspace, &buffer, 1, found->bytes.data(), session.stream) == 0, "digest()");
    check(cudaMemsetAsync(data.device, 255, bytes.size(), session.stream));
    check(cudaStreamSynchronize(session.stream));
    std::memset(bytes.data(), round, bytes.size());
    Digest expected;
    digest(std::span(&host, 1), std::span(&expected, 1));
    expect(*found == expected, "digest in stream order, round " + std::to_string(round));
    cudaFreeHost(found);
  }
}

void benchmark(const Session& session) {
  const Twin data(std::vector<std::uint8_t>(std::size_t{256} << 20, 7));
  for (const std::size_t size : {std::size_t{256} << 20, std::size_t{50000}}) {
    std::vector<samestep_cuda_buffer> buffers;
    for (std::size_t offset = 0; offset + size <= data.host.size() && buffers.size() < 262; offset += (size + 15) / 16 * 16)
      buffers.push_back({data.device + offset, size});
    session.digest(buffers);
    const auto begin = std::chrono::steady_clock::now();
    for (int round = 0; round < 20; ++round) session.digest(buffers);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / 20;
    std::printf("digest of %zu buffers of %zu bytes: %.3f ms, %.1f GB/s\n", buffers.size(), size, 1e3 * seconds,
                static_cast<double>(size * buffers.size()) / seconds / 1e9);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Session session;
  if (!session.library.handle) {
    std::printf("FAILED: %s\n", dlerror());
    return 1;
  }
  if (session.library.device_count() == 0) {
    std::printf("no CUDA device\n");
    return 0;
  }
  check(cudaStreamCreate(&session.stream));
  if (session.library.open(&session.workspace) != 0) return 1;
  digests_give_the_official_vectors(session);
  digests_equal_the_host_on_random_lists(session);
  summaries_have_the_bits_of_the_host(session);
  digests_keep_their_place_in_the_stream(session);
  if (argc > 1 && std::string(argv[1]) == "--benchmark") benchmark(session);
  session.library.close(session.workspace);
  std::printf(failures == 0 ? "the device's bits are the host's\n" : "%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}

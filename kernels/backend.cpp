// Which instruction sets this processor has, and the implementation that belongs to each.
#include <cstdlib>

#include "kernels/blake3/batch.h"
#include "kernels/digest.h"

namespace samestep {
namespace {

bool processor_has(Backend backend) {
#if defined(SAMESTEP_X86)
  // __builtin_cpu_supports asks the operating system too (xgetbv).
  const bool avx2 = __builtin_cpu_supports("avx2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  return backend == Backend::scalar || (backend == Backend::avx2 && avx2) || (backend == Backend::avx512 && avx512);
#else
  return backend == Backend::scalar;
#endif
}

Backend widest_allowed() {
  const char* wish = std::getenv("SAMESTEP_KERNELS");
  const std::string_view limit = wish ? wish : "avx512";
  for (const Backend backend : {Backend::avx512, Backend::avx2})
    if (available(backend) && (limit == name(backend) || limit == "avx512")) return backend;
  return Backend::scalar;
}

}  // namespace

std::string_view name(Backend backend) {
  switch (backend) {
    case Backend::scalar: return "scalar";
    case Backend::avx2: return "avx2";
    case Backend::avx512: return "avx512";
  }
  return {};
}

bool available(Backend backend) {
  static const bool have[] = {processor_has(Backend::scalar), processor_has(Backend::avx2),
                              processor_has(Backend::avx512)};
  return have[static_cast<int>(backend)];
}

Backend best_backend() {
  static const Backend best = widest_allowed();
  return best;
}

namespace blake3 {

const Compressor& compressor(Backend backend) {
#if defined(SAMESTEP_X86)
  if (backend == Backend::avx512) return avx512_compressor;
  if (backend == Backend::avx2) return avx2_compressor;
#endif
  static_cast<void>(backend);
  return scalar_compressor;
}

}  // namespace blake3
}  // namespace samestep

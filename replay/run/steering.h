// The one place for the environment variables whose values are kept: read by the recorder, which keeps what it starts a
// command with, and by the session inside the program, which tells what it sees. No other file of samestep lists them,
// but the pins of replay/recorder/pins.h, a choice from these.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace samestep {

// Not empty and not "0": what torch cannot do deterministically is an error in the program, not a warning.
inline constexpr const char* strict_variable = "SAMESTEP_STRICT";

// Steer how a program and its libraries compute: where they differ, bits may. A name that ends in '_' stands for all
// that begin with it.
inline constexpr std::array computing_variables{
    "ATEN_", "BLIS_", "CUBLAS_",   "CUDA_LAUNCH_BLOCKING", "CUDA_VISIBLE_DEVICES", "CUDNN_", "DNNL_",   "GOMP_",
    "KMP_",  "MKL_",  "NCCL_ALGO", "NCCL_PROTO",           "NVIDIA_TF32_OVERRIDE", "OMP_",   "ONEDNN_", "OPENBLAS_",
    "TORCH_"};
// Besides worth keeping: which libraries and code are loaded, which job this is, how memory is given out.
inline constexpr std::array telling_variables{"CUDA_",
                                              "GLIBC_TUNABLES",
                                              "GLOO_",
                                              "LANG",
                                              "LC_",
                                              "LD_LIBRARY_PATH",
                                              "LD_PRELOAD",
                                              "LOCAL_RANK",
                                              "MALLOC_",
                                              "NCCL_",
                                              "NVIDIA_VISIBLE_DEVICES",
                                              "PYTHONHASHSEED",
                                              "PYTHONPATH",
                                              "PYTORCH_",
                                              "RANK",
                                              "SAMESTEP_KERNELS",
                                              strict_variable,
                                              "SLURM_JOB_ID",
                                              "SLURM_NTASKS",
                                              "SLURM_PROCID",
                                              "TORCHINDUCTOR_",
                                              "TZ",
                                              "WORLD_SIZE"};
// A name with one of these in it never keeps its value, whatever the lists say.
inline constexpr std::array secret_words{"TOKEN", "SECRET", "PASSW", "KEY", "CREDENTIAL", "AUTH"};

namespace steering_detail {

template <std::size_t Count>
[[nodiscard]] constexpr bool lists(const std::array<const char*, Count>& names, std::string_view name) {
  return std::ranges::any_of(
      names, [&](std::string_view entry) { return entry.ends_with('_') ? name.starts_with(entry) : name == entry; });
}

}  // namespace steering_detail

[[nodiscard]] constexpr bool is_secret(std::string_view name) {
  return std::ranges::any_of(secret_words,
                             [&](std::string_view word) { return name.find(word) != std::string_view::npos; });
}
// True for a variable that steers computing: a session tells its value, and another value excuses other bits.
[[nodiscard]] constexpr bool steers_computing(std::string_view name) {
  return steering_detail::lists(computing_variables, name) && !is_secret(name);
}
// True for a variable whose value a manifest keeps; of all others it keeps the name.
[[nodiscard]] constexpr bool keeps_value(std::string_view name) {
  return (steering_detail::lists(computing_variables, name) || steering_detail::lists(telling_variables, name)) &&
         !is_secret(name);
}

}  // namespace samestep

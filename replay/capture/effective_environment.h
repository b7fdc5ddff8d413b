// The environment as it is in effect inside the training program: what was asked for by variables or calls may have
// been overridden since, so the values are asked of LibTorch itself.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "replay/recorder/protocol.h"

namespace samestep::capture {

// What a program can change while it runs, cheap enough to be asked at every step.
struct Settings {
  int intra_threads = 0, inter_threads = 0;
  bool deterministic = false, deterministic_warn_only = false, fill_uninitialized = false;
  bool cudnn_benchmark = false, cudnn_deterministic = false, cudnn_enabled = false;
  bool onednn_enabled = false, onednn_deterministic = false;
  std::string tf32_cublas, tf32_cudnn;
  std::string float32_matmul, default_dtype;
  bool flush_denormals = false;
  friend bool operator==(const Settings&, const Settings&) = default;
};
[[nodiscard]] Settings effective_settings();
[[nodiscard]] nlohmann::json to_json(const Settings& settings);
// "threads.intra: 2, was 4; ..."
[[nodiscard]] std::string describe_change(const Settings& before, const Settings& after);

// At construction turns on what makes a step repeatable: deterministic algorithms (as a warning that names the source
// line; an error with SAMESTEP_STRICT=1), filling of uninitialised memory, no TF32 in cuDNN. What the user has set
// already stays: a stricter determinism, and cuDNN's benchmark or cuBLAS's TF32, which are off unless somebody turns
// them on.
class DeterminismPins {
 public:
  DeterminismPins();
  ~DeterminismPins();  // as it was before, unless keep() was called: nobody records after all
  DeterminismPins(const DeterminismPins&) = delete;
  DeterminismPins& operator=(const DeterminismPins&) = delete;
  void keep() { kept_ = true; }

 private:
  bool kept_ = false;
  bool algorithms_, warn_only_, fill_, benchmark_, tf32_;
};

// The hello of this process: the lane `environment`, rank, program and mapped files.
[[nodiscard]] protocol::Hello describe_process();

// The program itself and every file whose code is mapped, by path.
[[nodiscard]] std::vector<std::string> mapped_files();

// Bytes: resident at most so far; reserved on all devices at most so far.
[[nodiscard]] std::uint64_t peak_memory();
[[nodiscard]] std::uint64_t peak_device_memory();

}  // namespace samestep::capture

// By what workers on other machines see that their bisect lives, and by what the next bisect sees that one has died.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "bisect/job.h"
#include "replay/recorder/descriptor.h"

namespace samestep {

// While it lives, FOLDER/alive has another text every ten seconds, and FOLDER/lock is locked.
class SignOfLife {
 public:
  // Throws BrokenInput where the folder cannot be written.
  explicit SignOfLife(std::filesystem::path folder);
  ~SignOfLife();
  SignOfLife(const SignOfLife&) = delete;
  SignOfLife& operator=(const SignOfLife&) = delete;

  // For workers that see the folder: two minutes without another text, and they end.
  [[nodiscard]] Tie tie() const;

 private:
  void write(std::uint64_t count) const;
  void repeat();

  std::filesystem::path folder_;
  Descriptor lock_;
  std::mutex mutex_;
  std::condition_variable ends_;
  bool ended_ = false;
  std::thread writer_;
};

// The bisect that wrote this sign of life ran on this machine, and has ended. False where nothing is certain: workers
// on other machines see the end for themselves.
[[nodiscard]] bool has_died(const std::filesystem::path& sign_of_life);

}  // namespace samestep

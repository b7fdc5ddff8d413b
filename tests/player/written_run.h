// Run directories on disk for tests, without a recorder: the steps of tests/compare/memory_run.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "replay/run/record.h"

namespace samestep::testing {

// A folder of this test alone, removed at its end.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

struct WrittenRun {
  std::uint64_t steps = 40;
  std::uint64_t first = 0;
  std::vector<std::string> argv{"frames_trainer"};
  std::string ended = "closed";
  int threads = 2;
  std::function<void(StepRecord&, const Layout&)> edit;
};
// Writes it into `folder`, which is made.
void write(const WrittenRun& run, const std::filesystem::path& folder);

}  // namespace samestep::testing

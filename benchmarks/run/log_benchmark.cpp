// How fast a log takes steps, how large it is, and what reading costs.
//   log_benchmark [--steps N] [--parameters P] [--sync-every K] [--detail-every D] [--folder DIR]
// Bits first: the log is read back and every record checked before a figure is printed. The last line sets them against
// appending the same encoded records to a plain file, measured in the same run.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "replay/run/segment_reader.h"
#include "replay/run/segment_writer.h"
#include "tests/run/synthetic.h"

namespace {

using namespace samestep;
using Clock = std::chrono::steady_clock;

struct Settings {
  std::uint64_t steps = 3000, sync_every = 64, detail_every = 1;
  SyntheticRun run{65, 1};
  std::filesystem::path folder = std::filesystem::temp_directory_path();
};

Settings parse(int argc, char** argv) {
  Settings settings;
  CLI::App app("Speed and size of the log");
  app.add_option("--steps", settings.steps);
  app.add_option("--parameters", settings.run.parameters);
  app.add_option("--sync-every", settings.sync_every);
  app.add_option("--detail-every", settings.detail_every);
  app.add_option("--folder", settings.folder);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return settings;
}

template <class Work>
double seconds(const Work& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The same bytes without HDF5, chunks or checksums: what the disk and the kernel take.
double plain_seconds(const std::filesystem::path& file, const std::vector<StepRecord>& records) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  const double time = seconds([&] {
    for (const StepRecord& record : records) {
      const auto bytes = encode(record);
      if (::write(descriptor, bytes.data(), bytes.size()) < 0) std::perror("write");
    }
  });
  ::close(descriptor);
  std::filesystem::remove(file);
  return time;
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = parse(argc, argv);
  const Layout layout = synthetic_layout(settings.run);
  std::vector<StepRecord> records;
  for (std::uint64_t step = 0; step < settings.steps; ++step) {
    records.push_back(synthetic_record(settings.run, layout, step));
  }
  const auto file = settings.folder / ("log-benchmark-" + std::to_string(::getpid()) + ".h5");
  const double plain = plain_seconds(file, records);
  SegmentHeader header;
  header.run_id = std::string(32, 'a');
  double create = 0, append = 0;
  {
    std::optional<SegmentWriter> writer;
    create = seconds([&] { writer.emplace(file, header, layout, 4, settings.detail_every, settings.sync_every); });
    append = seconds([&] {
      for (StepRecord& record : records) writer->append(record);
    });
    writer->close();
  }
  const auto steps = static_cast<double>(settings.steps);
  const auto bytes = static_cast<double>(std::filesystem::file_size(file));
  const double open = seconds([&] { SegmentReader{file}; });
  const SegmentReader reader(file);
  const double check = seconds([&] { reader.check_all(); });
  const double chain = seconds([&] { static_cast<void>(reader.chain(settings.steps / 2)); });
  std::printf("%zu parameters: %.0f commits/s (%.1f us each; the same bytes to a plain file %.1f us: ratio %.1f)\n",
              settings.run.parameters, steps / append, append / steps * 1e6, plain / steps * 1e6, append / plain);
  std::printf("%.0f bytes/step, %.1f bytes/step and tensor; create %.1f ms\n", bytes / steps,
              bytes / steps / static_cast<double>(settings.run.parameters), create * 1e3);
  std::printf("open %.2f ms, one chain %.3f ms, every record read and checked %.1f us each\n", open * 1e3, chain * 1e3,
              check / steps * 1e6);
  std::filesystem::remove(file);
}

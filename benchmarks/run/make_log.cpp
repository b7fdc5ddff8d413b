// Writes a synthetic run directory of any length, for measuring `diff`, `inspect` and the reader:
//   make_log RUN [--steps N] [--parameters P] [--seed S] [--parts-at K] [--detail-every D]
// Two runs of one seed, one of them with --parts-at K, are equal up to step K and part there. A million steps of 150
// parameters, detail thinned to every 100,000th, take some 0.8 GB.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/manifest.h"
#include "replay/run/run_files.h"
#include "replay/run/segment_writer.h"
#include "tests/run/synthetic.h"

namespace {

using namespace samestep;

struct Settings {
  std::filesystem::path folder;
  std::uint64_t steps = 1'000'000, detail_every = 100'000;
  SyntheticRun run{150, 1};
};

SegmentEntry write_log(const Settings& settings, const SegmentHeader& header) {
  const Layout layout = synthetic_layout(settings.run);
  SegmentEntry entry;
  entry.file = format::log_file(0, 0);
  SegmentWriter writer(settings.folder / entry.file, header, layout, 4, settings.detail_every, 0);
  for (std::uint64_t step = 0; step < settings.steps; ++step) {
    StepRecord record = synthetic_record(settings.run, layout, step);
    writer.append(record);
  }
  writer.close();
  entry.steps = settings.steps;
  entry.ended = "closed";
  entry.chain = writer.chain();
  entry.log_chain = writer.log_chain();
  entry.digest = file_digest(settings.folder / entry.file);
  return entry;
}

int make(const Settings& settings) {
  std::filesystem::create_directories(settings.folder);
  SegmentHeader header;
  header.run_id = digest(settings.folder.string()).hex().substr(0, format::run_id_length);
  const auto start = std::chrono::steady_clock::now();
  Manifest manifest;
  manifest.run_id = header.run_id;
  manifest.what = {{"argv", {"make_log"}}};
  manifest.segments = {write_log(settings, header)};
  write_manifest(settings.folder, manifest);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto bytes = static_cast<double>(std::filesystem::file_size(settings.folder / manifest.segments[0].file));
  std::printf("%s: %llu steps in %.1f s, %.2f GB\n", settings.folder.c_str(),
              static_cast<unsigned long long>(settings.steps), seconds, bytes / 1e9);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("Writes a synthetic run");
  app.add_option("run", settings.folder)->required();
  app.add_option("--steps", settings.steps);
  app.add_option("--parameters", settings.run.parameters);
  app.add_option("--seed", settings.run.seed);
  app.add_option("--parts-at", settings.run.parts_at);
  app.add_option("--detail-every", settings.detail_every);
  CLI11_PARSE(app, argc, argv);
  try {
    return make(settings);
  } catch (const BrokenInput& error) {
    std::fprintf(stderr, "make_log: %s\n", error.what());
    return 2;
  }
}

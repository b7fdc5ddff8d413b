// Writes a synthetic run directory of any length, for measuring `diff`, `inspect` and the reader:
//   make_log RUN [--steps N] [--parameters P] [--seed S] [--parts-at K] [--detail-every D]
// Segments follow on one another as the recorder makes them. Two runs of one seed, one of them with --parts-at K, are
// equal up to step K and part there. A million steps of 150 parameters, detail thinned to every 100,000th, take some
// 0.8 GB.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "replay/recorder/manifest_keeper.h"
#include "replay/recorder/session_log.h"
#include "replay/run/error.h"
#include "replay/run/format.h"
#include "tests/run/synthetic.h"

namespace {

using namespace samestep;

struct Settings {
  std::filesystem::path folder;
  std::uint64_t steps = 1'000'000, detail_every = 100'000;
  SyntheticRun run{150, 1};
};

std::uint64_t write_logs(const Settings& settings, ManifestKeeper& manifest) {
  const Layout layout = synthetic_layout(settings.run);
  RankState rank;
  const LogSettings log_settings{settings.folder, manifest.copy().run_id, settings.detail_every, 0};
  SessionLog log(log_settings, 0, rank, manifest, nlohmann::json::object(), nlohmann::json::object());
  log.set_layout(layout);
  for (std::uint64_t step = 0; step < settings.steps; ++step) {
    StepRecord record = synthetic_record(settings.run, layout, step);
    log.append(record, Detail::scheduled);
  }
  log.end("closed");
  return rank.bytes;
}

int make(const Settings& settings) {
  std::filesystem::create_directories(settings.folder);
  const auto start = std::chrono::steady_clock::now();
  Manifest first;
  first.run_id = digest(settings.folder.string()).hex().substr(0, format::run_id_length);
  first.what = {{"argv", {"make_log"}}};
  ManifestKeeper manifest(settings.folder, first);
  const auto bytes = static_cast<double>(write_logs(settings, manifest));
  manifest.digest_ended_logs();
  manifest.renew();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%s: %llu steps in %zu segments, %.1f s, %.2f GB\n", settings.folder.c_str(),
              static_cast<unsigned long long>(settings.steps), manifest.copy().segments.size(), seconds, bytes / 1e9);
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

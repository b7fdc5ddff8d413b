#include "replay/recorder/closing_words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "replay/recorder/run_directory.h"

namespace samestep {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t most_kinds_named = 6;

std::string why_no_step(const Recorded& recorded) {
  if (recorded.someone_connected) return "a process connected and made no step";
  if (!recorded.without_hooks.empty())
    return fmt::format(
        "no training step of PyTorch was seen: with {} Python starts without the hook that records; leave "
        "it out",
        recorded.without_hooks);
  if (recorded.is_python)
    return "no training step of PyTorch was seen: is the package samestep installed in that Python (which must not be "
           "started with -I, -E or -S), and does it train in a process that this command waits for? (samestep doctor "
           "looks at the Python)";
  return "no process connected while the command ran: is it linked with samestep (a Python: is the package samestep "
         "installed in it?), or left in the background by a command that ended first?";
}

std::string shown_event(const ManifestKeeper::Shown& event) {
  return fmt::format("{}: {}", event.is_difference ? "first difference" : "first", event.text);
}

}  // namespace

std::string shown(const fs::path& path) {
  std::error_code error;
  const fs::path near = fs::relative(path, error);
  return error || near.empty() || near.native().starts_with("..") ? path.string() : near.string();
}

std::string human(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value >= 1e9) return fmt::format("{:.1f} GB", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.1f} MB", value / 1e6);
  if (value >= 1e3) return fmt::format("{:.1f} kB", value / 1e3);
  return fmt::format("{} bytes", bytes);
}

std::string events_line(const ManifestKeeper& manifest) {
  std::vector<std::string> parts;
  std::size_t kinds = 0;
  std::uint64_t unnamed = 0;
  for (const auto& [kind, count] : manifest.event_counts()) {
    if (kind == "error") continue;
    if (++kinds > most_kinds_named)
      unnamed += count;
    else
      parts.push_back(fmt::format("{} {} ({})", count, kind, shown_event(manifest.most_telling(kind))));
  }
  if (unnamed > 0) parts.push_back(fmt::format("{} of {} more kinds", unnamed, kinds - most_kinds_named));
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string last_line(const Recorded& recorded) {
  const std::string path = shown(recorded.run);
  if (!recorded.gone.empty())
    return fmt::format("recorded {} steps in {}, but the run is lost: its {} was removed meanwhile", recorded.steps,
                       path, recorded.gone);
  if (recorded.steps == 0) {
    const std::string failed = recorded.ended.empty() ? "" : fmt::format("the command {}; ", recorded.ended);
    return fmt::format("recorded 0 steps in {}; {}{}", path, failed, why_no_step(recorded));
  }
  std::string text = fmt::format("recorded {} steps in {} ({}, {} a step), chain {}", recorded.steps, path,
                                 human(bytes_of_run(recorded.run)), human(recorded.log_bytes / recorded.steps),
                                 recorded.chain.hex().substr(0, 16));
  if (recorded.ranks > 1 || recorded.rank != 0) text += fmt::format(" of rank {}", recorded.rank);
  if (recorded.failed) text += "; then the recording failed";
  text += fmt::format("; next: samestep replay {}", path);
  // Without it a replay takes rank 0.
  return recorded.rank == 0 ? text : text + fmt::format(" --rank {}", recorded.rank);
}

}  // namespace samestep

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>

#include "replay/run/run_reader.h"

namespace samestep {
namespace {

std::string text_of(const nlohmann::json& what, const char* key) {
  const auto found = what.find(key);
  return found != what.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string this_boot() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

std::string this_host() {
  std::array<char, 256> host{};
  return ::gethostname(host.data(), host.size() - 1) == 0 ? host.data() : std::string();
}

bool alive(std::int64_t process) {
  return process > 0 && (::kill(static_cast<pid_t>(process), 0) == 0 || errno == EPERM);
}

}  // namespace

std::string effective_ending(const Manifest& manifest, const SegmentEntry& segment) {
  const nlohmann::json& what = manifest.what;
  const auto process = what.find("process");  // of the recorder
  const bool known = process != what.end() && process->is_number_integer() && !text_of(what, "boot_id").empty();
  if (segment.ended != "running" || !known) return segment.ended;
  // A recorder on another machine that shares the disk cannot be asked: its word stands.
  if (text_of(what, "boot_id") != this_boot()) return text_of(what, "host") == this_host() ? "lost" : segment.ended;
  return alive(process->get<std::int64_t>()) ? segment.ended : "lost";
}

}  // namespace samestep

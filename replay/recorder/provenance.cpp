#include "replay/recorder/provenance.h"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "replay/recorder/git.h"
#include "replay/run/error.h"
#include "replay/run/utc.h"

namespace samestep {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds git_patience{5};
constexpr std::size_t most_diff = std::size_t{1} << 20;
constexpr std::size_t most_untracked = std::size_t{1} << 16;

std::string first_line(const char* file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

// The value of a line "name : value".
std::string field_of(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name)) continue;
    const std::size_t value = line.find_first_not_of(" \t", line.find(':') + 1);
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

std::string user_name() {
  const passwd* entry = ::getpwuid(::getuid());
  return entry != nullptr ? entry->pw_name : std::to_string(::getuid());
}

nlohmann::json job_ids() {
  auto jobs = nlohmann::json::object();
  for (const char* name :
       {"SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "KUBERNETES_POD_NAME"})
    if (const char* value = std::getenv(name)) jobs[name] = value;
  return jobs;
}

// What nobody waits for longer is not told.
std::optional<Git> git_of(const fs::path& folder) {
  try {
    return Git(folder, git_patience);
  } catch (const BrokenInput&) {
    return std::nullopt;
  }
}

std::optional<Git::Answer> told(const Git& git, std::vector<std::string> words, std::size_t limit) {
  try {
    Git::Answer answer = git.try_to(std::move(words), limit);
    if (answer.code == 0) return answer;
  } catch (const BrokenInput&) {
  }
  return std::nullopt;
}

// The index is not renewed, as for a person who asks. Whether files of a submodule were changed, only its own filters
// could tell.
std::vector<std::string> difference() {
  return {"-c",  "diff.autoRefreshIndex=false", "diff", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty",
          "HEAD"};
}

std::string trimmed(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.pop_back();
  return text;
}

const char* kind_of_input(const struct stat& info) {
  if (::isatty(STDIN_FILENO) != 0) return "terminal";
  if (S_ISREG(info.st_mode)) return "file";
  if (S_ISFIFO(info.st_mode)) return "pipe";
  if (S_ISSOCK(info.st_mode)) return "socket";
  return S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3) ? "null" : "other";
}

// Where the shell would find a program.
fs::path program_path(const std::string& word, const fs::path& cwd) {
  if (word.find('/') != std::string::npos) return cwd / word;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const fs::path candidate = fs::path(folder.empty() ? "." : folder) / word;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

}  // namespace

nlohmann::json describe_revision(const fs::path& cwd) {
  const std::optional<Git> git = git_of(cwd);
  if (!git) return nullptr;
  const auto head = told(*git, {"rev-parse", "HEAD"}, 128);
  if (!head) return nullptr;
  nlohmann::json revision{{"commit", trimmed(head->text)}};
  if (const auto top = told(*git, {"rev-parse", "--show-toplevel"}, 4096)) revision["top"] = trimmed(top->text);
  if (const auto branch = told(*git, {"rev-parse", "--abbrev-ref", "HEAD"}, 1024))
    revision["branch"] = trimmed(branch->text);
  if (const auto diff = told(*git, difference(), most_diff)) {
    revision["diff"] = diff->text;
    revision["diff_cut"] = diff->cut;
  }
  if (const auto names = told(*git, {"ls-files", "--others", "--exclude-standard", "--directory"}, most_untracked)) {
    revision["untracked"] = nlohmann::json::array();
    std::istringstream lines(names->text);
    for (std::string line; std::getline(lines, line);) revision["untracked"].push_back(line);
  }
  return revision;
}

nlohmann::json describe_standard_input() {
  struct stat info {};
  if (::fstat(STDIN_FILENO, &info) != 0) return {{"kind", "closed"}};
  nlohmann::json input{{"kind", kind_of_input(info)}};
  std::error_code error;
  if (S_ISREG(info.st_mode)) input["path"] = fs::read_symlink("/proc/self/fd/0", error).string();
  return input;
}

nlohmann::json describe_machine() {
  utsname system{};
  ::uname(&system);
  return {{"processor", field_of("/proc/cpuinfo", "model name")},
          {"processor_flags", field_of("/proc/cpuinfo", "flags")},
          {"processors", ::sysconf(_SC_NPROCESSORS_ONLN)},
          {"cores", this_machine().physical_cores},
          {"architecture", system.machine},
          {"kernel", fmt::format("{} {} {}", system.sysname, system.release, system.version)},
          {"memory_bytes", static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE)},
          {"gpu_driver", first_line("/proc/driver/nvidia/version")}};
}

nlohmann::json describe_run(std::span<const std::string> argv, const fs::path& cwd, std::span<const Pin> pins) {
  utsname system{};
  ::uname(&system);
  return {{"argv", argv},
          {"cwd", cwd.string()},
          {"standard_input", describe_standard_input()},
          {"user", user_name()},
          {"host", system.nodename},
          {"boot_id", first_line("/proc/sys/kernel/random/boot_id")},
          {"process", ::getpid()},
          {"job", job_ids()},
          {"began_ns", utc_now_ns()},
          {"machine", describe_machine()},
          {"pins", to_json(pins)},
          {"environment", kept_environment(current_environment())},
          {"revision", nullptr}};
}

std::vector<NamedFile> files_of_command(std::span<const std::string> argv, const fs::path& cwd) {
  std::vector<NamedFile> files;
  std::error_code error;
  const auto add = [&](const fs::path& path, const char* role) {
    const fs::path real = fs::canonical(path, error);
    if (!error && fs::is_regular_file(real, error)) files.push_back({real.string(), role});
  };
  if (!argv.empty()) add(program_path(argv.front(), cwd), "program");
  for (const std::string& word : argv.subspan(std::min<std::size_t>(1, argv.size()))) {
    // "--config=file" names one too.
    add(cwd / word, "argument");
    if (const std::size_t equals = word.find('='); word.starts_with('-') && equals != std::string::npos)
      add(cwd / word.substr(equals + 1), "argument");
  }
  return files;
}

}  // namespace samestep

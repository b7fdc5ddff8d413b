#include "bisect/slurm.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <set>

#include "replay/recorder/program_output.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds patience{60};
constexpr std::size_t most_output = std::size_t{16} << 20;

constexpr std::array final_states{"BOOT_FAIL", "CANCELLED", "COMPLETED",     "DEADLINE", "FAILED",
                                  "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY", "REVOKED",  "TIMEOUT"};
// With these a submission is not one job that can be waited for.
constexpr std::array refused{"-a",      "--array", "-M",     "--clusters", "-n",          "--ntasks", "-N",
                             "--nodes", "-W",      "--wait", "--wrap",     "--test-only", "-H",       "--hold"};

// These say nothing of the machine that a job gets, nor of how much of it: all others are part of what is asked.
constexpr std::array of_the_job_alone{"--time", "-t",         "--time-min", "--mem", "--mem-per-cpu", "--account",
                                      "-A",     "--comment",  "-q",         "--qos", "--mail-type",   "--mail-user",
                                      "--nice", "--priority", "--begin",    "-b",    "--deadline",    "--wckey"};

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string_view take_to(char separator, std::string_view& text) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view field = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return field;
}

ProgramEnd run(std::vector<std::string> words) {
  SmallProgram program;
  program.argv = std::move(words);
  program.patience = patience;
  program.limit = most_output;
  auto end = run_small(program);
  if (!end)
    throw BrokenInput(fmt::format(
        "--executor slurm: there is no {} in PATH. Start the bisect where Slurm's client programs are, or let it use "
        "this machine alone: --executor local.",
        program.argv.front()));
  return std::move(*end);
}

std::string words_of(const std::string& program, const ProgramEnd& end) {
  if (end.code < 0) return fmt::format("{} gave no answer within {} s", program, patience.count());
  const std::string line = printable(end.errors.substr(0, end.errors.find('\n')));
  return line.empty() ? fmt::format("{} ended with code {}", program, end.code) : line;
}

std::string with_dashes(const std::string& option) {
  return option.starts_with("-") ? option : "--" + option;
}

// In sbatch's file names % begins a replacement.
std::string as_pattern(const std::string& path) {
  std::string pattern;
  for (const char c : path) pattern += c == '%' ? "%%" : std::string(1, c);
  return pattern;
}

}  // namespace

std::vector<SlurmJob> parse_slurm_jobs(std::string_view text) {
  std::vector<SlurmJob> jobs;
  while (!text.empty()) {
    std::string_view line = take_to('\n', text);
    const auto id = number_in(take_to('|', line));
    const std::string_view state = take_to('|', line), name = take_to('|', line);
    if (id && !line.empty()) jobs.push_back({*id, std::string(state), std::string(name), fs::path(line)});
  }
  return jobs;
}

bool is_over(const std::string& state) {
  return std::ranges::find(final_states, state) != final_states.end();
}

std::string machines_behind(const std::vector<std::string>& options) {
  std::set<std::string> choosing;
  for (const std::string& given : options) {
    const std::string option = with_dashes(given);
    const std::string name = option.starts_with("--") ? option.substr(0, option.find('=')) : option.substr(0, 2);
    if (std::ranges::find(of_the_job_alone, name) == of_the_job_alone.end()) choosing.insert(option);
  }
  std::string text = "slurm";
  for (const std::string& option : choosing) text += "\n" + option;
  return text;
}

Slurm::Slurm(const std::vector<std::string>& options) {
  for (const std::string& given : options) {
    const std::string option = with_dashes(given);
    for (const std::string word : refused) {
      const bool short_one = word.size() == 2;
      if (short_one ? option.starts_with(word) : option.substr(0, option.find('=')) == word)
        throw BrokenInput(
            fmt::format("--slurm-option {}: a trial is one job that the bisect waits for, on one node.", given));
    }
    options_.push_back(option);
  }
  for (const char* program : {"sbatch", "squeue", "scancel"}) (void)run({program, "--version"});
}

std::uint64_t Slurm::submit(const std::string& name, const fs::path& folder, const fs::path& script) const {
  std::vector<std::string> words{"sbatch"};
  words.insert(words.end(), options_.begin(), options_.end());
  const std::vector<std::string> own{"--parsable",
                                     "--no-requeue",
                                     "--nodes=1",
                                     "--ntasks=1",
                                     "--job-name=" + name,
                                     "--chdir=" + folder.string(),
                                     "--output=" + as_pattern(folder / "worker.txt"),
                                     script.string()};
  words.insert(words.end(), own.begin(), own.end());
  const ProgramEnd end = run(std::move(words));
  const std::string said = end.text.substr(0, end.text.find_first_of(";\n"));
  if (end.code != 0) throw BrokenInput(fmt::format("Submitting a trial to Slurm: {}.", words_of("sbatch", end)));
  if (const auto id = number_in(said)) return *id;
  throw BrokenInput(fmt::format("Submitting a trial to Slurm: sbatch answers '{}', which is no job.", printable(said)));
}

std::optional<std::vector<SlurmJob>> Slurm::jobs(std::string& why) const {
  const ProgramEnd end = run({"squeue", "--me", "--states=all", "--noheader", "--format=%i|%T|%j|%Z"});
  if (end.code == 0 && !end.cut) return parse_slurm_jobs(end.text);
  why = words_of("squeue", end);
  return std::nullopt;
}

std::string Slurm::cancel(const std::vector<std::uint64_t>& ids) const {
  if (ids.empty()) return "";
  std::vector<std::string> words{"scancel", "--quiet"};
  for (const std::uint64_t id : ids) words.push_back(std::to_string(id));
  const ProgramEnd end = run(std::move(words));
  return end.code == 0 ? "" : words_of("scancel", end);
}

}  // namespace samestep

#include "tests/bisect/bisected_project.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "replay/view/places.h"
#include "tests/view/possible_view.h"

namespace samestep::testing {
namespace {

namespace fs = std::filesystem;

std::size_t count_in(const fs::path& folder, const std::function<bool(const fs::path&)>& counts) {
  std::error_code error;
  std::size_t count = 0;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error))
    count += counts(entry->path()) ? 1 : 0;
  return count;
}

}  // namespace

std::string BisectedProject::Answer::culprit() const {
  const auto found = json.find("culprit");
  return found != json.end() && found->is_object() ? found->value("commit", "") : "";
}

BisectedProject::BisectedProject(const Folder& folder, std::size_t count, std::size_t changed,
                                 const std::string& before)
    : folder_(folder), made_(folder / "project") {
  made_.write(".gitignore", "run\n");
  WrittenRun run;
  run.argv = {"/bin/sh", "run.sh"};
  testing::write(run, made_ / "run");
  for (std::size_t i = 0; i < count; ++i) {
    const bool end = i == 0 || i + 1 == count;
    made_.write("run.sh", "REVISION=" + std::to_string(i) + "\n" + (end ? "" : before + "\n") +
                              "exec " SAMESTEP_FRAMES_TRAINER + (i >= changed ? " --edit loss:9" : "") + "\n");
    commits_.push_back(made_.commit("number " + std::to_string(i)));
  }
}

BisectedProject::Answer BisectedProject::bisect(const std::string& name, const std::string& cache,
                                                const std::string& options,
                                                const EnvironmentChanges& environment) const {
  return wait_for(start(name, cache, options, environment), name);
}

pid_t BisectedProject::start(const std::string& name, const std::string& cache, const std::string& options,
                             const EnvironmentChanges& environment) const {
  EnvironmentChanges changes = environment;
  changes["XDG_CACHE_HOME"] = (folder_ / cache).string();
  const std::string in_place = view_refusal().empty() ? "" : " --in-place";
  const std::string run = options.find("-- ") == std::string::npos ? "run" : "";
  const std::string line = "exec " SAMESTEP_PROGRAM " bisect " + run + " --good " + commits_.front() + " --bad " +
                           commits_.back() + " --json --folder " + folder_of(name).string() + in_place + " " + options +
                           " >" + folder_of(name).string() + ".out 2>" + folder_of(name).string() + ".err </dev/null";
  std::vector<std::string> words{"/bin/sh", "-c", line}, variables = environment_with(changes);
  const auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> list;
    for (std::string& text : texts) list.push_back(text.data());
    list.push_back(nullptr);
    return list;
  };
  const auto argv = pointers(words), envp = pointers(variables);
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  if (::chdir(made_.root().c_str()) == 0) ::execve("/bin/sh", argv.data(), envp.data());
  ::_exit(127);
}

BisectedProject::Answer BisectedProject::wait_for(pid_t pid, const std::string& name) const {
  int status = 0;
  ::waitpid(pid, &status, 0);
  Answer answer;
  answer.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  const std::string printed = text_of(folder_of(name).string() + ".out");
  answer.errors = text_of(folder_of(name).string() + ".err");
  answer.said = printed + answer.errors;
  answer.json = nlohmann::json::parse(printed, nullptr, false);
  if (!answer.json.is_object()) answer.json = nlohmann::json::object();
  return answer;
}

std::size_t BisectedProject::begun(const std::string& name) const {
  return count_in(folder_of(name) / "trials", [](const fs::path&) { return true; });
}

std::size_t BisectedProject::finished(const std::string& name) const {
  return count_in(folder_of(name) / "trials", [](const fs::path& trial) { return fs::exists(trial / "answer.json"); });
}

std::size_t BisectedProject::kept(const std::string& cache) const {
  return count_in(folder_ / cache / "samestep/trials",
                  [](const fs::path& file) { return file.extension() == ".json"; });
}

std::string BisectedProject::surroundings() const {
  std::string text = made_.sh(
      "git --no-optional-locks status --porcelain=2 --branch --ignored; git worktree list; ls -A .git; "
      "find . -path ./.git -prune -o -printf '%p %s %t\\n' | sort");
  for (const Mount& mount : mounts_here()) text += mount.at.string() + " " + mount.type + "\n";
  return text;
}

bool some_process_has(const std::string& word) {
  return count_in("/proc", [&](const fs::path& process) {
           return text_of(process / "cmdline").find(word) != std::string::npos;
         }) > 0;
}

bool comes_true(const std::function<bool()>& condition) {
  for (int i = 0; i < 1200 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  return condition();
}

}  // namespace samestep::testing

#include "tests/recorder/recording.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace samestep::testing {

namespace fs = std::filesystem;

Folder::Folder() {
  std::string name = (fs::temp_directory_path() / "samestep-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = name;
}

Folder::~Folder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

namespace {

void redirect(const fs::path& file, int to) {
  const int opened = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  ::dup2(opened, to);
}

}  // namespace

Process::Process(const Words& argv, const Folder& folder, const std::function<void()>& before_exec)
    : output_(folder / "stdout"), error_(folder / "stderr") {
  std::vector<char*> pointers;
  for (const std::string& word : argv) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ != 0) return;
  ::setpgid(0, 0);
  redirect(output_, STDOUT_FILENO);
  redirect(error_, STDERR_FILENO);
  if (::chdir(folder.path().c_str()) != 0) ::_exit(120);
  if (before_exec) before_exec();
  ::execv(pointers[0], pointers.data());
  ::_exit(121);
}

Process::~Process() {
  if (waited_) return;
  kill_group(SIGKILL);
  kill(SIGKILL);
  wait();
}

void Process::kill(int signal) const {
  ::kill(pid_, signal);
}

void Process::kill_group(int signal) const {
  ::kill(-pid_, signal);
}

int Process::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  waited_ = true;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string Process::output() const {
  return text_of(output_);
}
std::string Process::error() const {
  return text_of(error_);
}

std::string text_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

Words Recording::words(const Words& child, const Words& options) const {
  Words words{RECORD_PROGRAM, "--run", run().string()};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {"--", FRAME_CHILD, "--acknowledged", (folder / "acknowledged").string(), "--finished",
                             (folder / "finished").string()});
  words.insert(words.end(), child.begin(), child.end());
  return words;
}

int Recording::record(const Words& child, const Words& options) {
  Process process(words(child, options), folder);
  const int code = process.wait();
  said = process.error();
  return code;
}

std::vector<std::uint64_t> Recording::acknowledged() const {
  std::vector<std::uint64_t> steps;
  std::istringstream lines(text_of(folder / "acknowledged"));
  for (std::uint64_t step = 0; lines >> step;) steps.push_back(step);
  return steps;
}

std::vector<Event> Recording::events(const std::string& kind) const {
  std::vector<Event> events = manifest().events;
  std::erase_if(events, [&](const Event& event) { return event.kind != kind; });
  return events;
}

}  // namespace samestep::testing

#include "bisect/side_by_side.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "replay/player/folder.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_attempts = 3;
constexpr std::size_t shown_lines = 3;  // of what a lost worker printed

class SideBySide {
 public:
  SideBySide(Executor& executor, std::vector<Job> jobs, const std::function<fs::path(std::size_t)>& new_folder)
      : executor_(executor), jobs_(std::move(jobs)), attempts_(jobs_.size()), new_folder_(new_folder) {}
  ~SideBySide() { executor_.stop(); }
  SideBySide(const SideBySide&) = delete;
  SideBySide& operator=(const SideBySide&) = delete;

  void run(const std::function<void(std::size_t, const JobAnswer&)>& done,
           const std::function<void(const std::string&)>& progress) {
    for (std::size_t i = 0; i < jobs_.size(); ++i) start(i);
    while (!open_.empty()) {
      const auto ended = executor_.wait(signals_);
      end_if_asked();
      for (const EndedWorker& worker : ended) collect(worker, done);
      if (ended.empty()) tell_of_the_first(progress);
    }
  }

 private:
  void start(std::size_t i) {
    const fs::path folder = new_folder_(i);
    jobs_[i].tie = executor_.tie();
    write_job(folder, jobs_[i]);
    executor_.start(folder, signals_);
    open_[folder] = i;
    ++attempts_[i];
  }

  void tell_of_the_first(const std::function<void(const std::string&)>& progress) const {
    const auto first = std::ranges::min_element(open_, {}, [](const auto& each) { return each.second; });
    if (first == open_.end()) return;
    if (const std::string text = read_progress(first->first); !text.empty()) progress(text);
  }

  void end_if_asked() {
    while (const auto info = signals_.take()) {
      if (!means_stop(*info)) continue;
      executor_.stop();
      throw TrialInterrupted(static_cast<int>(info->ssi_signo));
    }
  }

  void collect(const EndedWorker& worker, const std::function<void(std::size_t, const JobAnswer&)>& done) {
    const auto found = open_.find(worker.folder);
    if (found == open_.end()) return;
    const std::size_t i = found->second;
    open_.erase(found);
    const auto answer = read_answer(worker.folder);
    if (!answer) return ask_again(i, worker);
    if (answer->tampered) throw TamperedInput(answer->error);
    if (!answer->error.empty()) throw BrokenInput(answer->error);
    done(i, *answer);
  }

  // A lost worker says nothing of the revision.
  void ask_again(std::size_t i, const EndedWorker& worker) {
    if (worker.advice.empty() && attempts_[i] < most_attempts) return start(i);
    std::string why = fmt::format("the worker for revision {} ended without an answer: {}",
                                  jobs_[i].commit.substr(0, 12), worker.how);
    for (const std::string& line : last_lines(worker.folder / "worker.txt", shown_lines)) why += "; " + printable(line);
    if (!worker.advice.empty()) throw BrokenInput(fmt::format("{}. {}", why, worker.advice));
    throw BrokenInput(fmt::format(
        "{}. That was attempt {}, so the bisect ends; finished trials are kept. If memory is short, fewer workers (-j) "
        "or a limit (--memory) may help.",
        why, most_attempts));
  }

  Executor& executor_;
  std::vector<Job> jobs_;
  std::vector<std::size_t> attempts_;
  const std::function<fs::path(std::size_t)>& new_folder_;
  const Signals signals_;
  std::map<fs::path, std::size_t> open_;  // jobs that workers are at, by folder
};

}  // namespace

void do_side_by_side(Executor& executor, std::vector<Job> jobs, const std::function<fs::path(std::size_t)>& new_folder,
                     const std::function<void(std::size_t, const JobAnswer&)>& done,
                     const std::function<void(const std::string&)>& progress) {
  SideBySide(executor, std::move(jobs), new_folder).run(done, progress);
}

}  // namespace samestep

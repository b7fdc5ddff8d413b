#include "bisect/slurm_executor.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>

#include "bisect/private_file.h"
#include "bisect/sign_of_life.h"
#include "bisect/slurm.h"
#include "replay/run/error.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr const char* job_name = "samestep-trial";
constexpr int tick_milliseconds = 500;
// squeue is asked after one second, two more, three more, ...: short trials are not waited for, long ones cost nothing.
constexpr std::chrono::seconds first_pause{1}, longest_pause{10};
constexpr int most_failures = 30;  // of squeue, one after the other: five minutes
// A job is over before its answer is seen here where a file server is slow.
constexpr std::chrono::seconds grace_completed{60}, grace_failed{2};

std::string quoted(const std::string& text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? "'\\''" : std::string(1, c);
  return word + "'";
}

fs::path this_program() {
  std::error_code error;
  fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error || !fs::exists(program, error))
    throw BrokenInput("--executor slurm: the samestep program is not any more where it was started from.");
  return program;
}

// By opening its folder: a file server is asked then.
bool has_answer(const fs::path& folder) {
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error))
    if (entry->path().filename() == "answer.json") return true;
  return false;
}

std::string advice_for(const std::string& state) {
  if (state == "TIMEOUT" || state == "DEADLINE")
    return "Give trials more time, e.g. --slurm-option time=4:00:00, or a limit of the bisect's own (--seconds), "
           "beyond "
           "which a revision counts as untestable.";
  if (state == "OUT_OF_MEMORY")
    return "Give trials more memory, e.g. --slurm-option mem=32G, or a limit of the bisect's own (--memory), beyond "
           "which "
           "a revision counts as untestable.";
  if (state == "CANCELLED") return "Somebody cancelled it. Started again, the bisect repeats no finished trial.";
  return "";
}

class SlurmExecutor : public Executor {
 public:
  SlurmExecutor(const std::vector<std::string>& options, const fs::path& folder,
                std::function<void(const std::string&)> say)
      : slurm_(options), program_(this_program()), say_(std::move(say)), sign_of_life_(folder) {
    cancel_what_was_left();
  }
  ~SlurmExecutor() override { SlurmExecutor::stop(); }

  [[nodiscard]] Tie tie() const override { return sign_of_life_.tie(); }

  void start(const fs::path& folder, const Signals&) override {
    const fs::path script = folder / "job.sh";
    const std::string why = write_private(
        script, fmt::format("#!/bin/sh\nexec {} trial {}\n", quoted(program_.string()), quoted(folder.string())));
    if (!why.empty()) throw BrokenInput(fmt::format("Writing {} failed: {}.", script.string(), why));
    running_.push_back({folder, slurm_.submit(job_name, folder, script), Clock::now(), "", {}});
    pause_ = first_pause;
    next_question_ = Clock::now() + pause_;
  }

  [[nodiscard]] std::vector<EndedWorker> wait(const Signals& signals) override {
    pollfd entry{signals.descriptor(), POLLIN, 0};
    ::poll(&entry, 1, tick_milliseconds);
    if (Clock::now() >= next_question_) ask_slurm();
    std::vector<EndedWorker> ended;
    std::erase_if(running_, [&](const Worker& worker) {
      const bool answered = has_answer(worker.folder);
      if (!answered && !is_lost(worker)) return false;
      ended.push_back({worker.folder, fmt::format("Slurm's job {} ended as {}", worker.id, worker.state),
                       answered ? "" : advice_for(worker.state)});
      return true;
    });
    return ended;
  }

  void stop() noexcept override {
    std::vector<std::uint64_t> ids;
    for (const Worker& worker : running_) ids.push_back(worker.id);
    running_.clear();
    try {
      const std::string why = slurm_.cancel(ids);
      if (!why.empty()) say_(fmt::format("cancelling the trials that still run: {}; they end by themselves", why));
    } catch (const std::exception&) {
      // They miss the sign of life, and end.
    }
  }

 private:
  struct Worker {
    fs::path folder;
    std::uint64_t id = 0;
    Clock::time_point submitted;
    std::string state;       // once it is over
    Clock::time_point over;  // when that was seen
  };

  [[nodiscard]] static bool is_lost(const Worker& worker) {
    if (worker.state.empty()) return false;
    const auto grace = worker.state == "COMPLETED" ? grace_completed : grace_failed;
    return Clock::now() - worker.over > grace;
  }

  void ask_slurm() {
    pause_ = std::min<std::chrono::seconds>(pause_ + first_pause, longest_pause);
    next_question_ = Clock::now() + pause_;
    std::string why;
    const auto jobs = slurm_.jobs(why);
    if (!jobs) {
      if (failures_ == 0) say_(fmt::format("asking Slurm how the trials are: {}; trying again", why));
      if (++failures_ >= most_failures) throw BrokenInput(fmt::format("Asking Slurm how the trials are: {}.", why));
      return;
    }
    failures_ = 0;
    for (Worker& worker : running_)
      if (worker.state.empty()) look_up(worker, *jobs);
  }

  static void look_up(Worker& worker, const std::vector<SlurmJob>& jobs) {
    const auto found = std::ranges::find(jobs, worker.id, &SlurmJob::id);
    if (found != jobs.end() && is_over(found->state)) worker.state = found->state;
    if (found == jobs.end() && Clock::now() - worker.submitted > longest_pause) worker.state = "unknown to it";
    worker.over = Clock::now();
  }

  // Of bisects of this machine that were killed; other machines' jobs see for themselves that nobody waits for them.
  void cancel_what_was_left() const {
    std::string why;
    const auto jobs = slurm_.jobs(why);
    if (!jobs) throw BrokenInput(fmt::format("Asking Slurm for your jobs: {}.", why));
    std::vector<std::uint64_t> left;
    for (const SlurmJob& job : *jobs)
      if (job.name == job_name && still_runs(job) && !has_answer(job.folder) && nobody_waits_for(job))
        left.push_back(job.id);
    if (left.empty()) return;
    say_(fmt::format("cancelling {} of Slurm's jobs that a bisect which was killed has left", left.size()));
    if (const std::string refused = slurm_.cancel(left); !refused.empty()) say_(refused);
  }

  [[nodiscard]] static bool still_runs(const SlurmJob& job) { return !is_over(job.state) && job.state != "COMPLETING"; }
  [[nodiscard]] static bool nobody_waits_for(const SlurmJob& job) {
    try {
      return has_died(read_job(job.folder).tie.sign_of_life);
    } catch (const BrokenInput&) {
      return false;  // it is not certain that the job is ours
    }
  }

  Slurm slurm_;
  fs::path program_;
  std::function<void(const std::string&)> say_;
  SignOfLife sign_of_life_;
  std::vector<Worker> running_;
  Clock::time_point next_question_ = Clock::time_point::max();
  std::chrono::seconds pause_ = first_pause;
  int failures_ = 0;
};

}  // namespace

std::unique_ptr<Executor> slurm_executor(const std::vector<std::string>& options, const fs::path& folder,
                                         std::function<void(const std::string&)> say) {
  return std::make_unique<SlurmExecutor>(options, folder, std::move(say));
}

}  // namespace samestep

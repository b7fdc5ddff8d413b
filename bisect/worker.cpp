#include "bisect/worker.h"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <chrono>
#include <cstdlib>
#include <iostream>

#include "bisect/job.h"
#include "bisect/tied.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using Say = std::function<void(const std::string&)>;

constexpr int no_answer = 2;

// A scheduler that ends a job ends all of its processes, one after the other: the program may die before the signal
// comes here, and would be taken for one that fails by itself.
constexpr std::chrono::milliseconds between_signals{1000};

void refuse_what_was_ended(const Tie& tie, const TrialAnswer& answer) {
  const bool by_a_scheduler = !tie.sign_of_life.empty() && answer.outcome == TrialOutcome::untestable;
  const int signal = Tied::asked_to_stop(by_a_scheduler ? between_signals : std::chrono::milliseconds::zero());
  if (signal != 0) throw TrialInterrupted(signal);
}

// Not at every step, of which there may be thousands a second.
std::function<void(const std::string&)> progress_to(const fs::path& folder) {
  constexpr std::chrono::seconds pause{1};
  return [folder, pause, next = std::chrono::steady_clock::time_point()](const std::string& text) mutable {
    const auto now = std::chrono::steady_clock::now();
    if (now < next || text.empty()) return;
    next = now + pause;
    write_progress(folder, text);
  };
}

std::string scheduler_job() {
  const char* id = std::getenv("SLURM_JOB_ID");
  return id == nullptr ? "" : printable(id);
}

TrialRunner::Tried make(const Repository& repository, const Job& job, const TrialTask& task, const fs::path& folder,
                        const Say& say) {
  TrialSettings settings = task.settings;
  settings.replay.say = say;
  settings.replay.progress = progress_to(folder);
  TrialRunner runner(repository, settings);
  runner.look_at(task.window);
  TrialRunner::Tried tried = runner.make(job.commit, folder, task.save);
  refuse_what_was_ended(job.tie, tried.answer);
  // Kept here and not only by the bisect: that may be killed before it has read the answer.
  tried.holds = tried.holds && (task.key.is_null() || runner.has_inputs_of(job.commit, task.key));
  if (tried.holds && !task.key.is_null())
    TrialCache(settings.cache, say, false, settings.asked_by).keep(task.key, tried.answer);
  return tried;
}

std::string record(const Repository& repository, const Job& job, RevisionRecording wanted, const Say& say) {
  wanted.say = say;
  const Prepared recorded = record_revision(repository, job.commit, wanted);
  if (recorded.asked_to_stop != 0) throw TrialInterrupted(recorded.asked_to_stop);
  return recorded.why;
}

JobAnswer answer_of(const Job& job, const fs::path& folder) {
  JobAnswer answer;
  answer.job = scheduler_job();
  const Say say = [&](const std::string& line) { answer.said.push_back(printable(line)); };
  try {
    const Repository repository(job.repository);
    if (const auto* trial = std::get_if<TrialTask>(&job.task))
      answer.result = make(repository, job, *trial, folder, say);
    else
      answer.result = record(repository, job, std::get<RevisionRecording>(job.task), say);
  } catch (const TrialInterrupted&) {
    throw;
  } catch (const TamperedInput& error) {
    answer.error = printable(error.what());
    answer.tampered = true;
  } catch (const std::exception& error) {
    answer.error = printable(error.what());
  }
  return answer;
}

int fail(const std::string& why) {
  std::cerr << "samestep trial: " << printable(why) << std::endl;
  return no_answer;
}

}  // namespace

int work(const fs::path& folder) {
  ::prctl(PR_SET_NAME, "samestep");  // however it was found to be started
  try {
    const Job job = read_job(folder);
    const Tied tied(job.tie);
    const JobAnswer answer = answer_of(job, folder);
    // Between two commands: what the last one said may be what the signal made of it.
    if (const int signal = Tied::asked_to_stop(); signal != 0) throw TrialInterrupted(signal);
    const std::string why = write_answer(folder, answer);
    return why.empty() ? 0 : fail(fmt::format("the answer cannot be written: {}", why));
  } catch (const TrialInterrupted& interrupted) {
    return 128 + interrupted.signal();
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}

}  // namespace samestep

// What a bisect asks of a worker (one trial, or the recording of the good revision) and what it is told: two files in a
// folder of the job's own, so that a worker may be a process of this machine or of another one that sees the folder.
//
//   FOLDER/job.json      written before the worker starts
//   FOLDER/progress.txt  one line, written again and again by the worker: how far it is, for people
//   FOLDER/answer.json   written by the worker when it is done; a worker that leaves none has told nothing of the
//   revision
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "bisect/record_revision.h"
#include "bisect/trial_runner.h"

namespace samestep {

struct TrialTask {
  TrialSettings settings;  // as a TrialRunner has them; `folder` is the job's
  TrialWindow window;
  std::optional<std::filesystem::path> save;  // keep the replay here
  nlohmann::json key;                         // what the answer is kept under; null: it is not kept
};

// How a worker knows that nobody waits for its answer any more.
struct Tie {
  pid_t parent = 0;  // not 0: this process started it, on this machine, and it dies with it
  // Not empty: a file whose text changes as long as the bisect lives, and how long it may stay as it is.
  std::filesystem::path sign_of_life;
  std::chrono::milliseconds patience{0};
};

struct Job {
  std::filesystem::path repository;  // the checkout's top folder
  std::string commit;
  std::variant<TrialTask, RevisionRecording> task;
  Tie tie;
};

struct JobAnswer {
  std::vector<std::string> said;  // lines for standard error
  // Of a trial; of a recording: why there is none, empty where it stands.
  std::variant<TrialRunner::Tried, std::string> result;
  // Not empty: no revision could be tried, and why; the bisect ends. `tampered`: the run contradicts itself.
  std::string error = {};
  bool tampered = false;
  std::string job = {};  // of a scheduler's job that made it: its id, "4711"; else empty
};

// All paths in a job are absolute. Throws BrokenInput where the folder cannot be written.
void write_job(const std::filesystem::path& folder, const Job& job);
// Throws BrokenInput that names the file for anything but a job.
[[nodiscard]] Job read_job(const std::filesystem::path& folder);

// A line that could not be written, or is none, is no line: nothing depends on it.
void write_progress(const std::filesystem::path& folder, const std::string& text);
[[nodiscard]] std::string read_progress(const std::filesystem::path& folder);

// "", or why it could not be written.
[[nodiscard]] std::string write_answer(const std::filesystem::path& folder, const JobAnswer& answer);
// nullopt where there is none yet. Throws BrokenInput for anything but an answer.
[[nodiscard]] std::optional<JobAnswer> read_answer(const std::filesystem::path& folder);

}  // namespace samestep

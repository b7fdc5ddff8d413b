// What a bisect and its workers tell each other is believed only where one of them could have written it.
#include "bisect/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include "bisect/worker.h"
#include "replay/run/error.h"
#include "replay/run/strict_json.h"
#include "tests/bisect/bisected_project.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

class AJob : public ::testing::Test {
 protected:
  [[nodiscard]] fs::path folder() const { return folder_.path(); }
  void put(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    fs::permissions(folder_ / name, fs::perms::owner_read | fs::perms::owner_write);
  }
  [[nodiscard]] std::string text(const std::string& name) const { return testing::text_of(folder_ / name); }
  [[nodiscard]] static Job trial() {
    TrialTask task;
    task.settings.replay.run = "/project/run";
    task.settings.replay.command = {"sh",
                                    "tr\xff"
                                    "ain.sh",
                                    ""};
    task.settings.replay.set = {{"OMP_NUM_THREADS", "2"}};
    task.settings.replay.pins = {Lane::hyper};
    task.settings.replay.limits = {std::chrono::seconds(3), 1000};
    task.settings.links = {"data"};
    task.window = {3, 9};
    task.key = {{"tree", "1"}};
    return {"/project", std::string(40, 'a'), task, {17, "/project/alive", std::chrono::seconds(5)}};
  }
  static bool refuses(const std::function<void()>& read) {
    try {
      read();
      return false;
    } catch (const BrokenInput&) {
      return true;
    }
  }
  // Every field of another type.
  void expect_each_field_is_checked(json whole, const std::function<void()>& read) const {
    const json flat = whole.flatten();
    for (const auto& [pointer, value] : flat.items()) {
      json other = whole;
      other[json::json_pointer(pointer)] = value.is_number() ? json("text") : json(-1.5);
      put("job.json", other.dump());
      const bool anything_goes = pointer.find("/key/") != std::string::npos;
      EXPECT_TRUE(anything_goes || refuses(read)) << pointer;
    }
  }
  testing::Folder folder_;
};

TEST_F(AJob, ComesBackAsItWasWritten) {
  write_job(folder(), trial());
  const Job job = read_job(folder());
  const auto& task = std::get<TrialTask>(job.task);
  EXPECT_EQ(job.repository, "/project");
  EXPECT_EQ(job.tie.parent, 17);
  EXPECT_EQ(task.settings.replay.command, std::get<TrialTask>(trial().task).settings.replay.command);
  EXPECT_EQ(task.settings.replay.limits, std::get<TrialTask>(trial().task).settings.replay.limits);
  EXPECT_EQ(task.settings.replay.pins, std::vector{Lane::hyper});
  EXPECT_EQ(task.settings.links, std::vector<fs::path>{"data"});
  EXPECT_EQ(task.window, (TrialWindow{3, 9}));
  EXPECT_EQ(task.settings.folder, folder());
  EXPECT_TRUE(task.settings.views_needed);
  RevisionRecording wanted;
  wanted.command = {"sh"};
  wanted.cwd = wanted.run = "/project";
  wanted.steps = 4;
  write_job(folder(), {"/project", std::string(40, 'b'), wanted, {}});
  EXPECT_EQ(std::get<RevisionRecording>(read_job(folder()).task).steps, 4U);
}

TEST_F(AJob, IsRefusedWhereAFieldIsWrong) {
  write_job(folder(), trial());
  const json whole = json::parse(text("job.json"));
  expect_each_field_is_checked(whole, [&] { (void)read_job(folder()); });
  for (const std::string broken : {"", "{}", "[]", "{\"version\": 1", "{\"version\": 99}"}) {
    put("job.json", broken);
    EXPECT_THROW((void)read_job(folder()), BrokenInput) << broken;
  }
  json relative = whole;
  relative["repository"] = "project";
  put("job.json", relative.dump());
  EXPECT_THROW((void)read_job(folder()), BrokenInput);
}

TEST_F(AJob, OfSomebodyElseIsNotDone) {
  write_job(folder(), trial());
  fs::permissions(folder() / "job.json", fs::perms::others_write, fs::perm_options::add);
  EXPECT_THROW((void)read_job(folder()), BrokenInput);
  fs::remove(folder() / "job.json");
  fs::create_symlink("/etc/passwd", folder() / "job.json");
  EXPECT_THROW((void)read_job(folder()), BrokenInput);
}

TEST_F(AJob, HasNoAnswerUntilItIsWhole) {
  EXPECT_FALSE(read_answer(folder()).has_value());
  TrialRunner::Tried tried;
  tried.answer.outcome = TrialOutcome::diverged;
  tried.answer.step = 9;
  ASSERT_EQ(write_answer(folder(), {{"a line"}, tried}), "");
  const auto answer = read_answer(folder());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(std::get<TrialRunner::Tried>(answer->result).answer.step, 9U);
  EXPECT_EQ(answer->said, std::vector<std::string>{"a line"});
  ASSERT_EQ(write_answer(folder(), {{}, {}, "the disk is full", true}), "");
  EXPECT_TRUE(read_answer(folder())->tampered);
  ASSERT_EQ(write_answer(folder(), {{}, tried, "", false, "4711"}), "");
  EXPECT_EQ(read_answer(folder())->job, "4711");
  for (const std::string broken : {"", "{}", R"({"version": 1, "job": "", "said": [], "answer": {}, "holds": true})",
                                   R"({"version": 1, "said": [], "why": ""})",
                                   R"({"version": 1, "job": "", "said": [], "error": "", "tampered": false})"}) {
    put("answer.json", broken);
    EXPECT_THROW((void)read_answer(folder()), BrokenInput) << broken;
  }
}

TEST_F(AJob, TellsHowFarItIsInOneHarmlessLine) {
  EXPECT_EQ(read_progress(folder()), "");
  write_progress(folder(), "step 3 of 9");
  EXPECT_EQ(read_progress(folder()), "step 3 of 9");
  put("progress.txt", "\x1b[2J red\nmore");
  EXPECT_EQ(read_progress(folder()), "\\x1b[2J red");
  put("progress.txt", std::string(100000, 'x'));
  EXPECT_EQ(read_progress(folder()), "");
}

// A worker whose trial sleeps; it is tied to a file.
class ATiedWorker : public AJob {
 protected:
  void SetUp() override {
    const std::string sleeper = "sleep " + number_;
    const testing::BisectedProject project(folder_, 3, 1, "exec " + sleeper);
    Job job = trial();
    job.repository = folder_ / "project";
    job.commit = project.commits()[1];
    auto& task = std::get<TrialTask>(job.task);
    task = TrialTask{};
    task.settings.replay.run = folder_ / "project/run";
    task.settings.worktrees = !testing::view_refusal().empty();
    task.window = {0, 40};
    job.tie = {0, folder_ / "alive", std::chrono::milliseconds(1500)};
    fs::create_directory(job_folder());
    write_job(job_folder(), job);
    put("alive", "0");
  }
  [[nodiscard]] fs::path job_folder() const { return folder_ / "job"; }
  [[nodiscard]] bool sleeps() const { return testing::some_process_has("sleep" + std::string(1, '\0') + number_); }
  [[nodiscard]] pid_t start() const {
    const pid_t pid = ::fork();
    if (pid == 0) ::execl(SAMESTEP_PROGRAM, "samestep", "trial", job_folder().c_str(), nullptr);
    return pid;
  }
  const std::string number_ = "86421." + std::to_string(::getpid());
};

TEST_F(ATiedWorker, EndsWhenNobodyWaitsAnyMore) {
  const pid_t pid = start();
  ASSERT_TRUE(testing::comes_true([&] { return sleeps(); }));
  for (int beat = 1; beat <= 12; ++beat) {  // longer than its patience
    ::usleep(250'000);
    put("alive", std::to_string(beat));
  }
  EXPECT_TRUE(sleeps()) << "it ended although the sign of life changed";
  int status = 0;
  ::waitpid(pid, &status, 0);  // ctest's time limit tells where it never ends
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM) << status;
  EXPECT_FALSE(sleeps());
  EXPECT_FALSE(read_answer(job_folder()).has_value());
}

// A scheduler's signals reach a job's processes one after the other.
TEST_F(ATiedWorker, WhoseProgramIsEndedJustBeforeItselfHasNoAnswer) {
  const pid_t pid = start();
  ASSERT_TRUE(testing::comes_true([&] { return sleeps(); }));
  ASSERT_EQ(std::system(("pkill -KILL -f '[s]leep " + number_ + "'").c_str()), 0);
  ASSERT_TRUE(testing::comes_true([&] { return !sleeps(); }));
  ::usleep(200'000);
  ::kill(pid, SIGTERM);
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM) << status;
  EXPECT_FALSE(read_answer(job_folder()).has_value());
}

TEST_F(ATiedWorker, WhoseProgramIsEndedByAnybodyElseAnswers) {
  const pid_t pid = start();
  ASSERT_TRUE(testing::comes_true([&] { return sleeps(); }));
  ASSERT_EQ(std::system(("pkill -KILL -f '[s]leep " + number_ + "'").c_str()), 0);
  int status = 0;
  ::waitpid(pid, &status, 0);
  const auto answer = read_answer(job_folder());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(std::get<TrialRunner::Tried>(answer->result).answer.outcome, TrialOutcome::untestable);
}

TEST_F(ATiedWorker, WhoseJobIsNoneSaysSo) {
  fs::remove(job_folder() / "job.json");
  int status = 0;
  ::waitpid(start(), &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 2) << status;
}

}  // namespace
}  // namespace samestep

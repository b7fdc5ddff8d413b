#include "replay/run/passing_variables.h"

#include <algorithm>
#include <array>

namespace samestep {
namespace {

// Of the terminal, the login and the moment, of a cluster's job, of a build server's: other ones at every bisect, and
// no training reads them. All others count: a script may take its learning rate from any of them. Of Slurm's those that
// tell a task how many it is of, with how many cores, and an array's task (a seed, often) are among these.
constexpr std::array of_the_session{"_",
                                    "COLORTERM",
                                    "COLUMNS",
                                    "DISPLAY",
                                    "GPG_TTY",
                                    "INVOCATION_ID",
                                    "JOURNAL_STREAM",
                                    "LESSOPEN",
                                    "LINES",
                                    "LS_COLORS",
                                    "OLDPWD",
                                    "PWD",
                                    "SHLVL",
                                    "STY",
                                    "TERM",
                                    "TMPDIR",
                                    "TMUX",
                                    "TMUX_PANE",
                                    "WAYLAND_DISPLAY",
                                    "WINDOWID",
                                    "ITERM_SESSION_ID",
                                    "SYSTEMD_EXEC_PID",
                                    "TERM_SESSION_ID",
                                    "WT_SESSION",
                                    "XAUTHORITY"};
constexpr std::array of_the_session_all{"ALACRITTY_", "DBUS_SESSION_", "GNOME_TERMINAL_", "KITTY_",
                                        "KONSOLE_",   "SSH_",          "TERM_PROGRAM",    "VSCODE_",
                                        "VTE_",       "WEZTERM_",      "XDG_RUNTIME_",    "XDG_SESSION_"};
constexpr std::array of_a_job{"LSB_JOBID",
                              "PBS_JOBCOOKIE",
                              "PBS_JOBID",
                              "SLURM_ARRAY_JOB_ID",
                              "SLURM_JOBID",
                              "SLURM_JOB_END_TIME",
                              "SLURM_JOB_ID",
                              "SLURM_JOB_NAME",
                              "SLURM_JOB_NODELIST",
                              "SLURM_JOB_START_TIME",
                              "SLURM_LAUNCH_NODE_IPADDR",
                              "SLURM_NODELIST",
                              "SLURM_RESTART_COUNT",
                              "SLURM_SRUN_COMM_HOST",
                              "SLURM_SRUN_COMM_PORT",
                              "SLURM_STEPID",
                              "SLURM_STEP_ID",
                              "SLURM_STEP_LAUNCHER_PORT",
                              "SLURM_STEP_NODELIST",
                              "SLURM_SUBMIT_DIR",
                              "SLURM_SUBMIT_HOST",
                              "SLURM_TASK_PID",
                              "SLURM_TOPOLOGY_ADDR",
                              "SLURM_WORKING_CLUSTER",
                              "SLURMD_NODENAME"};
// By whole names: what else such a server sets, and how many of how many a job is, a script may read.
constexpr std::array of_a_build_server{"APPVEYOR_BUILD_ID",
                                       "APPVEYOR_BUILD_NUMBER",
                                       "APPVEYOR_BUILD_VERSION",
                                       "APPVEYOR_JOB_ID",
                                       "APPVEYOR_JOB_NUMBER",
                                       "APPVEYOR_REPO_COMMIT",
                                       "BUILDKITE_AGENT_ID",
                                       "BUILDKITE_AGENT_NAME",
                                       "BUILDKITE_BUILD_ID",
                                       "BUILDKITE_BUILD_NUMBER",
                                       "BUILDKITE_BUILD_URL",
                                       "BUILDKITE_COMMIT",
                                       "BUILDKITE_JOB_ID",
                                       "BUILDKITE_RETRY_COUNT",
                                       "BUILDKITE_STEP_ID",
                                       "BUILD_BUILDID",
                                       "BUILD_BUILDNUMBER",
                                       "BUILD_DISPLAY_NAME",
                                       "BUILD_ID",
                                       "BUILD_NUMBER",
                                       "BUILD_TAG",
                                       "BUILD_URL",
                                       "CIRCLE_BUILD_NUM",
                                       "CIRCLE_BUILD_URL",
                                       "CIRCLE_PREVIOUS_BUILD_NUM",
                                       "CIRCLE_SHA1",
                                       "CIRCLE_WORKFLOW_ID",
                                       "CIRCLE_WORKFLOW_JOB_ID",
                                       "CI_BUILDS_DIR",
                                       "CI_COMMIT_BEFORE_SHA",
                                       "CI_COMMIT_DESCRIPTION",
                                       "CI_COMMIT_MESSAGE",
                                       "CI_COMMIT_SHA",
                                       "CI_COMMIT_SHORT_SHA",
                                       "CI_COMMIT_TIMESTAMP",
                                       "CI_COMMIT_TITLE",
                                       "CI_CONCURRENT_ID",
                                       "CI_CONCURRENT_PROJECT_ID",
                                       "CI_JOB_ID",
                                       "CI_JOB_STARTED_AT",
                                       "CI_JOB_TOKEN",
                                       "CI_JOB_URL",
                                       "CI_PIPELINE_CREATED_AT",
                                       "CI_PIPELINE_ID",
                                       "CI_PIPELINE_IID",
                                       "CI_PIPELINE_URL",
                                       "CI_RUNNER_ID",
                                       "CI_RUNNER_SHORT_TOKEN",
                                       "EXECUTOR_NUMBER",
                                       "GITHUB_ACTION",
                                       "GITHUB_ENV",
                                       "GITHUB_EVENT_PATH",
                                       "GITHUB_OUTPUT",
                                       "GITHUB_PATH",
                                       "GITHUB_RUN_ATTEMPT",
                                       "GITHUB_RUN_ID",
                                       "GITHUB_RUN_NUMBER",
                                       "GITHUB_SHA",
                                       "GITHUB_STATE",
                                       "GITHUB_STEP_SUMMARY",
                                       "GITHUB_TOKEN",
                                       "GITHUB_WORKFLOW_SHA",
                                       "JENKINS_SERVER_COOKIE",
                                       "JENKINS_URL",
                                       "JOB_URL",
                                       "RUNNER_NAME",
                                       "RUNNER_TEMP",
                                       "RUNNER_TRACKING_ID",
                                       "RUN_DISPLAY_URL",
                                       "TRAVIS_BUILD_ID",
                                       "TRAVIS_BUILD_NUMBER",
                                       "TRAVIS_BUILD_WEB_URL",
                                       "TRAVIS_COMMIT",
                                       "TRAVIS_JOB_ID",
                                       "TRAVIS_JOB_NUMBER",
                                       "TRAVIS_JOB_WEB_URL"};

}  // namespace

bool is_passing(const std::string& name) {
  const auto is_among = [&](const auto& names) { return std::ranges::find(names, name) != names.end(); };
  const auto begins_as = [&](const auto& prefixes) {
    return std::ranges::any_of(prefixes, [&](const char* prefix) { return name.starts_with(prefix); });
  };
  return is_among(of_the_session) || is_among(of_a_job) || is_among(of_a_build_server) || begins_as(of_the_session_all);
}

bool is_of_the_users(const std::string& name) {
  return !is_passing(name) && !name.starts_with("SAMESTEP_") && !name.starts_with("GIT_");
}

}  // namespace samestep

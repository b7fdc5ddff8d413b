#include "bisect/tied.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>

#include "bisect/private_file.h"
#include "replay/recorder/quiet_thread.h"
#include "replay/run/error.h"

namespace samestep {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array stopping{SIGINT, SIGTERM, SIGHUP, SIGQUIT};
constexpr std::chrono::milliseconds tick{200};
constexpr std::size_t most_bytes = 4096;  // of a sign of life

std::atomic<int> asked = 0;
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler writes it");

void note(int signal) {
  asked = signal;
}

void handle_with(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  for (const int signal : stopping) ::sigaction(signal, &action, nullptr);
}

void die_with(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(2);  // it has gone before
}

// Its text; what cannot be read is as good as unchanged.
std::string sign_in(const std::filesystem::path& file) {
  try {
    return private_text(file, most_bytes).value_or("");
  } catch (const BrokenInput&) {
    return "";
  }
}

}  // namespace

int Tied::asked_to_stop(std::chrono::milliseconds wait) {
  const Clock::time_point end = Clock::now() + wait;
  while (asked == 0 && Clock::now() < end) std::this_thread::sleep_for(tick / 10);
  return asked;
}

Tied::Tied(const Tie& tie) : tie_(tie) {
  if (tie_.parent != 0) die_with(tie_.parent);
  handle_with(note);
  watcher_ = quiet_thread([this] { watch(); });
}

Tied::~Tied() {
  done_ = true;
  watcher_.join();
  handle_with(SIG_DFL);
}

void Tied::watch() {
  const bool looks = !tie_.sign_of_life.empty();
  std::string last;
  Clock::time_point seen = Clock::now(), next_look = seen;
  for (; !done_; std::this_thread::sleep_for(tick)) {
    if (asked != 0) ::kill(::getpid(), SIGTERM);
    if (!looks || Clock::now() < next_look) continue;
    next_look = Clock::now() + tie_.patience / 10;
    std::string now = sign_in(tie_.sign_of_life);
    if (now != last && !now.empty()) {
      last = std::move(now);
      seen = Clock::now();
    } else if (Clock::now() - seen > tie_.patience) {
      asked = SIGTERM;
    }
  }
}

}  // namespace samestep

#include "replay/recorder/signals.h"

#include <array>

namespace samestep {
namespace {

// Would end the recorder, or are a message for the command.
constexpr std::array passed_on{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH};
// Would end the recorder at a write to a closed pipe, or to a file at its size limit; as an error of the write they are
// said in words. The command gets back what it would have had.
constexpr std::array ignored{SIGPIPE, SIGXFSZ};

// What the ignored signals did when this process began: what every command gets back, the second of a replay too.
const std::array<void (*)(int), ignored.size()>& dispositions_before() {
  static const auto before = [] {
    std::array<void (*)(int), ignored.size()> list{};
    for (std::size_t i = 0; i < ignored.size(); ++i) list[i] = std::signal(ignored[i], SIG_IGN);
    return list;
  }();
  return before;
}

}  // namespace

Signals::Signals() {
  sigset_t taken;
  sigemptyset(&taken);
  for (const int signal : passed_on) sigaddset(&taken, signal);
  pthread_sigmask(SIG_BLOCK, &taken, &mask_);
  static_cast<void>(dispositions_before());
  descriptor_ = Descriptor(::signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK));
}

Signals::~Signals() {
  while (take()) {
  }
  pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  // The ignored ones stay ignored: the recorder still has its last lines to write.
}

std::optional<signalfd_siginfo> Signals::take() const {
  signalfd_siginfo info{};
  if (::read(descriptor_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
  return info;
}

sigset_t Signals::defaults() {
  sigset_t set;
  sigemptyset(&set);
  for (std::size_t i = 0; i < ignored.size(); ++i)
    if (dispositions_before()[i] != SIG_IGN) sigaddset(&set, ignored[i]);
  return set;
}

bool means_stop(const signalfd_siginfo& info) {
  return info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM || info.ssi_signo == SIGHUP || info.ssi_signo == SIGQUIT;
}

}  // namespace samestep

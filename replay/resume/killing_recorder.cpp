#include "replay/resume/killing_recorder.h"

#include <poll.h>

#include <csignal>
#include <utility>

#include "replay/recorder/process.h"

namespace samestep {

namespace {

constexpr int patience_ms = 10'000;
constexpr int patience_with_a_group_ms = 2'000;

bool ends_within(const Descriptor& process, int milliseconds) {
  pollfd end{process.get(), POLLIN, 0};
  return ::poll(&end, 1, milliseconds) == 1;
}

}  // namespace

KillingRecorder::KillingRecorder(const RecordOptions& options, Terminal& terminal, std::optional<std::uint64_t> after)
    : RunRecorder(options, terminal), after_(after) {}

void KillingRecorder::started(Running& command) {
  const std::scoped_lock lock(mutex_);
  command_ = &command;
  changed_.notify_all();
}

Greeting KillingRecorder::on_hello(const Client& client) {
  Greeting greeting = RunRecorder::on_hello(client);
  if (after_) greeting.welcome.lockstep = true;
  return greeting;
}

protocol::Ack KillingRecorder::on_step(const Client& client, StepRecord&& record) {
  const std::uint64_t step = record.step;
  const protocol::Ack ack = RunRecorder::on_step(client, std::move(record));
  if (after_ && step > *after_ && ack.answer != protocol::Ack::Answer::off) kill(client);
  return ack;
}

// All at once, so that no script around the program goes on; and no answer before it is dead, for that would let it.
void KillingRecorder::kill(const Client& client) {
  const Descriptor process = client.pid > 0 ? open_process(client.pid) : Descriptor();
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return command_ != nullptr; });
    command_->stop();
  }
  // It alone is killed only where it has left the command's process group: a script around it would see it die and go
  // on.
  if (!process || ends_within(process, patience_with_a_group_ms)) return;
  ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
  (void)ends_within(process, patience_ms);
}

}  // namespace samestep

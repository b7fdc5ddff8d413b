// A training program without training: says hello, sends synthetic steps, writes down every acknowledgement it gets,
// ends in a chosen way. Run by the tests under a real recorder.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <thread>

#include "replay/checkpoint/safetensors.h"
#include "replay/recorder/protocol.h"
#include "replay/run/utc.h"
#include "tests/run/synthetic.h"

namespace samestep {
namespace {

using protocol::Connection;
using protocol::Type;

struct Settings {
  std::uint64_t steps = 20;
  std::uint64_t optimizer_after = 0;  // its first optimizer state is that after so many steps; 0: it has none
  std::uint64_t starts_after = 0;     // its first weights are those after so many steps
  SyntheticRun run;
  std::uint32_t rank = 0;
  std::string acknowledged;  // file: one step number a line, written before the next step is made
  std::string finished;      // file made when all steps are done, recorded or not
  std::string end = "bye";   // bye | exit | kill | silent
  int value = 0;             // exit code or signal
  std::uint64_t sleep_us = 0;
  std::uint64_t edit_at = ~std::uint64_t{0};           // one weight changes before this step
  std::uint64_t wrong_step_at = ~std::uint64_t{0};     // this step has another number than was due
  std::uint64_t endless_batch_at = ~std::uint64_t{0};  // the batch of this step has more tensors than a log can hold
  std::uint64_t slow_at = ~std::uint64_t{0};           // this step says it took a second
  std::uint64_t more_items_at = ~std::uint64_t{0};     // from here on a batch has 20 tensors
  std::uint64_t new_layout_at = ~std::uint64_t{0};     // from here on there is one parameter more
  std::uint64_t events = 0;                            // so many long ones of eight kinds, before the first step
  bool worker = false;                                 // a process that inherits the socket and lives on
};

// One line, in one write: a kill never leaves half of it.
class Lines {
 public:
  explicit Lines(const std::string& file)
      : file_(file.empty() ? -1 : ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644)) {}
  void add(std::uint64_t number) const {
    const std::string line = fmt::format("{}\n", number);
    if (file_ >= 0 && ::write(file_, line.data(), line.size()) < 0) std::perror("frame_child");
  }

 private:
  int file_;
};

class Training {
 public:
  explicit Training(const Settings& settings)
      : settings_(settings), layout_(synthetic_layout(settings.run)), acknowledged_(settings.acknowledged) {}

  void run() {
    connect();
    for (std::uint64_t i = 0; i < settings_.events && connection_; ++i) tell(i);
    for (std::uint64_t i = 0; i < settings_.steps; ++i) step(i);
    if (connection_) wait_until_ahead(0);
    if (!settings_.finished.empty()) Lines(settings_.finished).add(settings_.steps);
  }

  void end() {
    if (settings_.end == "kill") ::raise(settings_.value);
    if (settings_.end == "bye" && connection_)
      (void)connection_->send(Type::bye, protocol::encode(protocol::Bye{"closed", settings_.steps}));
    ::_exit(settings_.end == "exit" ? settings_.value : 0);
  }

 private:
  void connect() {
    const char* path = std::getenv(protocol::socket_variable);
    if (path == nullptr) return;
    connection_ = Connection::connect(path);
    if (!connection_) return;
    protocol::Hello hello;
    hello.pid = ::getpid();
    hello.rank = settings_.rank;
    hello.program = "frame_child";
    hello.files = {"/proc/self/exe", "/etc/hostname"};
    (void)connection_->send(Type::hello, protocol::encode(hello));
    const auto answer = connection_->receive();
    if (!answer) return lose();
    welcome_ = protocol::decode_welcome(answer->text());
    if (welcome_.mode != protocol::Mode::record) return connection_.reset();
    next_ = acked_ = welcome_.first_step;
    if (welcome_.ask_start) ask_start();
    send_layout();
  }

  // At most steps a recording has no digest of it; a program knows it nevertheless.
  [[nodiscard]] Digest optimizer_after(std::uint64_t steps) const {
    const LaneRecord lane = synthetic_record(settings_.run, layout_, steps - 1).of(Lane::optimizer);
    return lane.status == LaneStatus::captured ? lane.digest : digest(std::to_string(steps));
  }

  void ask_start() {
    const StepRecord first = synthetic_record(settings_.run, layout_, settings_.starts_after);
    protocol::Start start{first.of(Lane::weights_in).digest, std::nullopt};
    if (const auto after = settings_.optimizer_after; after != 0) start.optimizer_in = optimizer_after(after);
    (void)connection_->send(Type::start, protocol::encode(start));
    const auto answer = connection_->receive();
    if (!answer) return lose();
    next_ = acked_ = protocol::decode_begin(answer->text()).first_step;
  }

  void send_layout() {
    if (connection_ && !connection_->send(Type::layout, encode(layout_))) lose();
  }

  void tell(std::uint64_t i) {
    std::string text = "x";
    for (int letter = 0; letter < 1500; ++letter) text += "\u00e9";
    const std::string kind = i % 8 == 0 ? "No Word" : fmt::format("told_{}", i % 8);
    if (!connection_->send(Type::event, protocol::encode(protocol::Notice{kind, 0, text, text}))) lose();
  }

  void step(std::uint64_t i) {
    if (settings_.sleep_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(settings_.sleep_us));
    if (i == settings_.new_layout_at) {
      ++settings_.run.parameters;
      layout_ = synthetic_layout(settings_.run);
      send_layout();
    }
    if (!connection_) return;
    StepRecord record = synthetic_record(settings_.run, layout_, i + settings_.starts_after);
    record.step = next_++;
    disturb(record, i);
    if (!connection_->send(Type::step, encode(record))) return lose();
    if (welcome_.anchor_every != 0 && next_ % welcome_.anchor_every == 0) cut_anchor();
    wait_until_ahead(protocol::max_ahead - 1);
  }

  void disturb(StepRecord& record, std::uint64_t i) const {
    record.timing.began_ns = utc_now_ns();
    if (i == settings_.slow_at) record.timing.duration_ns = 1'000'000'000;
    LaneRecord& weights = record.of(Lane::weights_in);
    if (i == settings_.edit_at) {
      weights.digests[2].bytes[0] ^= 1;
      weights.digest = lane_digest(Lane::weights_in, weights, layout_.of(Lane::weights_in));
    }
    if (i == settings_.wrong_step_at) record.step += 5;
    LaneRecord& batch = record.of(Lane::batch);
    if (i < settings_.more_items_at && i != settings_.endless_batch_at) return;
    batch.items.resize(i == settings_.endless_batch_at ? 100000 : 20, batch.items.front());
    batch.digest = lane_digest(Lane::batch, batch, {});
  }

  void cut_anchor() {
    const int file = ::memfd_create("anchor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    const std::vector<float> data(1000, static_cast<float>(next_));
    const TensorView tensor{"weight", DType::f32, {1000}, std::as_bytes(std::span(data))};
    const std::string head = safetensors_head(std::span(&tensor, 1), {{"step", std::to_string(next_)}});
    if (::write(file, head.data(), head.size()) < 0 || ::write(file, data.data(), data.size() * 4) < 0) ::abort();
    if (!connection_->send(Type::anchor, protocol::encode(protocol::StepNumber{next_}), file)) lose();
    ::close(file);
  }

  void wait_until_ahead(std::uint64_t most) {
    while (connection_ && next_ - acked_ > most) {
      const auto frame = connection_->receive();
      if (!frame) return lose();
      const protocol::Ack ack = protocol::decode_ack(frame->text());
      if (ack.answer == protocol::Ack::Answer::off) return connection_.reset();
      acknowledged_.add(ack.step);
      acked_ = ack.step + 1;
      if (ack.cut_anchor) cut_anchor();
    }
  }

  void lose() {
    fmt::print(stderr, "frame_child: the recorder has gone; training on\n");
    connection_.reset();
  }

  Settings settings_;
  Layout layout_;
  Lines acknowledged_;
  std::optional<Connection> connection_;
  protocol::Welcome welcome_;
  std::uint64_t next_ = 0, acked_ = 0;  // the next step to send; one past the last acknowledged
};

// A data loader's worker: forked, so it holds the socket too, and slow to notice that its parent has died.
void start_worker() {
  if (::fork() != 0) return;
  ::sleep(20);
  ::_exit(0);
}

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app{"A training program that only speaks frames"};
  app.add_option("--steps", settings.steps);
  app.add_option("--starts-after", settings.starts_after);
  app.add_option("--optimizer-after", settings.optimizer_after);
  app.add_option("--parameters", settings.run.parameters);
  app.add_option("--seed", settings.run.seed);
  app.add_option("--parts-at", settings.run.parts_at);
  app.add_option("--rank", settings.rank);
  app.add_option("--acknowledged", settings.acknowledged);
  app.add_option("--finished", settings.finished);
  app.add_option("--end", settings.end);
  app.add_option("--value", settings.value);
  app.add_option("--sleep-us", settings.sleep_us);
  app.add_option("--edit-at", settings.edit_at);
  app.add_option("--wrong-step-at", settings.wrong_step_at);
  app.add_option("--endless-batch-at", settings.endless_batch_at);
  app.add_option("--slow-at", settings.slow_at);
  app.add_option("--more-items-at", settings.more_items_at);
  app.add_option("--new-layout-at", settings.new_layout_at);
  app.add_option("--events", settings.events);
  app.add_flag("--worker", settings.worker);
  CLI11_PARSE(app, argc, argv);
  Training training(settings);
  if (settings.worker) start_worker();
  training.run();
  training.end();
  return 0;
}

}  // namespace
}  // namespace samestep

int main(int argc, char** argv) {
  return samestep::main(argc, argv);
}

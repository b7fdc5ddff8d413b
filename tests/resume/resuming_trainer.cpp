// A training program without tensors that leaves a checkpoint and resumes from it: the steps of
// tests/compare/memory_run, so that a check runs real processes in milliseconds. Words:
//   --steps N        how many there are (default 12)
//   --save-every N   after each N steps the file "checkpoint" says how many were made
//   --resume         goes on from there, and begins anew where there is no such file
//   --edit LANE      a resume's steps have other bits in that lane's first entry
//   --noise STEP     from that step on the loss is different in every process
//   --fresh          a resume's optimizer holds no state
//   --average        a resume begins with another first tensor than was saved
//   --rename FILE    a resume looks for that file instead
//   --crash STEP     dies by signal 6 before that step
//   --end STEP       ends by itself before that step
//   --twice FILE     ends by itself before step 4 where FILE is there, else makes it
//   --write FILE     tries to write it
//   --exit CODE      ends with it before it connects
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "replay/recorder/protocol.h"
#include "tests/compare/memory_run.h"
#include "tests/player/words.h"

namespace {

using namespace samestep;

using testing::Words;
using testing::words_of;

std::uint64_t number(const Words& words, const std::string& name, std::uint64_t otherwise) {
  const auto found = words.find(name);
  return found == words.end() ? otherwise : std::stoull(found->second);
}

// How many steps the checkpoint holds.
std::uint64_t steps_before(const Words& words) {
  if (!words.contains("--resume")) return 0;
  const auto other = words.find("--rename");
  std::uint64_t steps = 0;
  std::ifstream(other == words.end() ? "checkpoint" : other->second) >> steps;
  return steps;
}

class Trainer {
 public:
  Trainer(protocol::Connection& connection, const Words& words)
      : connection_(connection), words_(words), first_(steps_before(words)) {}

  int train() {
    const auto welcome = connection_.receive();
    if (!welcome) return 1;
    const auto said = protocol::decode_welcome(welcome->text());
    std::uint64_t next = said.ask_start ? ask_where_it_begins() : said.first_step;
    if (!connection_.send(protocol::Type::layout, encode(layout_))) return 1;
    std::uint64_t sent = 0;
    for (std::uint64_t own = first_; own < end(); ++own, ++next, ++sent) {
      if (own == number(words_, "--crash", ~0U)) std::abort();
      const auto ack = send(step(own), next);
      if (!ack || ack->answer == protocol::Ack::Answer::stop) break;
      save(own + 1);
    }
    (void)connection_.send(protocol::Type::bye, protocol::encode(protocol::Bye{"closed", sent}));
    return 0;
  }

 private:
  [[nodiscard]] std::uint64_t end() const {
    return std::min(number(words_, "--steps", 12), number(words_, "--end", ~std::uint64_t{0}));
  }
  [[nodiscard]] bool is_resumed() const { return first_ > 0; }

  [[nodiscard]] StepRecord step(std::uint64_t own) const {
    StepRecord record = testing::small_step(own);
    if (is_resumed() && words_.contains("--edit")) {
      const Lane lane = lane_from_name(words_.at("--edit")).value();
      if (record.of(lane).status == LaneStatus::captured) testing::spoil(record, lane, 0, layout_);
    }
    if (is_resumed() && words_.contains("--average")) testing::spoil(record, Lane::weights_in, 0, layout_);
    if (own >= number(words_, "--noise", ~std::uint64_t{0})) {
      record.of(Lane::loss).items[0].digest = digest(std::to_string(std::random_device{}()));
      testing::refresh(record, Lane::loss, layout_);
    }
    return record;
  }

  std::uint64_t ask_where_it_begins() {
    protocol::Start start{step(first_).of(Lane::weights_in).digest, std::nullopt};
    // The lane `optimizer` as the step before left it, which the run has where that was due.
    StepRecord before = testing::small_step(first_ == 0 ? 0 : first_ - 1);
    if (is_resumed() && !words_.contains("--fresh") && before.of(Lane::optimizer).status == LaneStatus::captured)
      start.optimizer_in = before.of(Lane::optimizer).digest;
    else if (is_resumed() && !words_.contains("--fresh"))
      start.optimizer_in = digest("not recorded there");
    (void)connection_.send(protocol::Type::start, protocol::encode(start));
    const auto begin = connection_.receive();
    return begin ? protocol::decode_begin(begin->text()).first_step : 0;
  }

  std::optional<protocol::Ack> send(StepRecord record, std::uint64_t as) {
    record.step = as;
    if (!connection_.send(protocol::Type::step, encode(record))) return std::nullopt;
    const auto frame = connection_.receive();
    if (!frame || frame->type != protocol::Type::ack) return std::nullopt;
    return protocol::decode_ack(frame->text());
  }

  void save(std::uint64_t made) const {
    if (const std::uint64_t every = number(words_, "--save-every", 0); every != 0 && made % every == 0)
      std::ofstream("checkpoint") << made;
  }

  protocol::Connection& connection_;
  const Words& words_;
  std::uint64_t first_;
  Layout layout_ = testing::small_layout();
};

protocol::Hello hello() {
  protocol::Hello message;
  message.pid = ::getpid();
  message.program = "resuming_trainer";
  return message;
}

// What a program does that ends early the second time.
void mind_the_second_time(Words& words) {
  const auto found = words.find("--twice");
  if (found == words.end()) return;
  if (std::filesystem::exists(found->second)) words["--end"] = "4";
  std::ofstream(found->second) << "was here\n";
}

}  // namespace

int main(int argc, char** argv) {
  Words words = words_of(argc, argv);
  std::puts("resuming_trainer begins");
  std::fflush(stdout);
  if (words.contains("--exit")) return std::stoi(words.at("--exit"));
  if (words.contains("--write") && !(std::ofstream(words.at("--write")) << "x"))
    std::printf("OSError: [Errno 30] Read-only file system: '%s'\n", words.at("--write").c_str());
  mind_the_second_time(words);
  const char* socket = std::getenv(protocol::socket_variable);
  if (socket == nullptr) return 0;
  auto connection = protocol::Connection::connect(socket);
  if (!connection || !connection->send(protocol::Type::hello, protocol::encode(hello()))) return 1;
  return Trainer(*connection, words).train();
}

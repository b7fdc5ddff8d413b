// A training program without tensors: it speaks the recorder's protocol and makes the steps of
// tests/compare/memory_run, so that a replay is tested with real processes in milliseconds. Its words say what goes
// wrong:
//   --steps N            how many there are (default 40)
//   --edit LANE:STEP     from that step on the lane's first entry has other bits
//   --noise STEP         from that step on the loss is different in every process
//   --unseeded STEP      from that step on its generators follow the secret that the recorder gives
//   --once FILE:STEP     as --edit loss:STEP, if FILE exists; FILE is removed
//   --crash STEP         dies by SIGKILL before that step
//   --exit CODE          ends with it before it connects
//   --silent             never connects, ends with 0
//   --forget STEP        a start at STEP sees the batches from the beginning
//   --threads N          what its environment says
//   --linger SECONDS     before it ends, after its session has
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

#include "replay/recorder/protocol.h"
#include "tests/compare/memory_run.h"
#include "tests/player/words.h"

namespace {

using namespace samestep;

using testing::Words;
using testing::words_of;

std::optional<std::uint64_t> number(const Words& words, const std::string& name) {
  const auto found = words.find(name);
  if (found == words.end()) return std::nullopt;
  return std::stoull(found->second.substr(found->second.find(':') + 1));
}

void edit(StepRecord& record, const Words& words, const Layout& layout, bool corrupt) {
  if (const auto at = number(words, "--edit"); at && record.step >= *at) {
    const std::string text = words.at("--edit");
    const Lane lane = lane_from_name(text.substr(0, text.find(':'))).value();
    if (record.of(lane).status == LaneStatus::captured) testing::spoil(record, lane, 0, layout);
  }
  if (const auto at = number(words, "--noise"); at && record.step >= *at) {
    record.of(Lane::loss).items[0].digest = digest(std::to_string(std::random_device{}()));
    testing::refresh(record, Lane::loss, layout);
  }
  if (const auto at = number(words, "--unseeded"); at && record.step >= *at) {
    const char* secret = std::getenv("SAMESTEP_ENTROPY");
    record.of(Lane::rng).digests[0] = digest(std::string_view(secret == nullptr ? "" : secret));
    testing::refresh(record, Lane::rng, layout);
  }
  if (corrupt && record.step == number(words, "--once")) testing::spoil(record, Lane::loss, 0, layout);
}

// True once: the file says that this process is the one to be corrupted.
bool take_turn(const Words& words) {
  const auto found = words.find("--once");
  if (found == words.end()) return false;
  return std::filesystem::remove(found->second.substr(0, found->second.find(':')));
}

// nullopt where the recorder has gone.
std::optional<protocol::Ack> acknowledged(protocol::Connection& connection, const StepRecord& record) {
  if (!connection.send(protocol::Type::step, encode(record))) return std::nullopt;
  const auto frame = connection.receive();
  if (!frame || frame->type != protocol::Type::ack) return std::nullopt;
  return protocol::decode_ack(frame->text());
}

protocol::Hello hello(const Words& words) {
  protocol::Hello message;
  message.pid = ::getpid();
  message.program = "frames_trainer";
  const auto threads = words.find("--threads");
  message.environment = {{"threads", {{"intra", threads == words.end() ? 2 : std::stoi(threads->second)}}}};
  return message;
}

StepRecord make_step(std::uint64_t step, std::uint64_t first, const Words& words) {
  StepRecord record = testing::small_step(step);
  if (first > 0 && number(words, "--forget") == first) {
    record.of(Lane::batch) = testing::small_step(step - first).of(Lane::batch);
  }
  return record;
}

int train(protocol::Connection& connection, const protocol::Welcome& welcome, const Words& words) {
  const Layout layout = testing::small_layout();
  const bool corrupt = take_turn(words);
  if (!connection.send(protocol::Type::layout, encode(layout))) return 1;
  const std::uint64_t end = std::min(number(words, "--steps").value_or(40),
                                     welcome.mode == protocol::Mode::replay ? welcome.to : ~std::uint64_t{0});
  std::uint64_t sent = 0;
  for (std::uint64_t step = welcome.first_step; step < end; ++step, ++sent) {
    if (step == number(words, "--crash")) std::raise(SIGKILL);
    StepRecord record = make_step(step, welcome.first_step, words);
    edit(record, words, layout, corrupt);
    const auto ack = acknowledged(connection, record);
    if (!ack || ack->answer == protocol::Ack::Answer::stop) break;
  }
  (void)connection.send(protocol::Type::bye, protocol::encode(protocol::Bye{"closed", sent}));
  return 0;
}

int run(const Words& words) {
  const char* socket = std::getenv(protocol::socket_variable);
  if (words.contains("--silent") || socket == nullptr) return 0;
  auto connection = protocol::Connection::connect(socket);
  if (!connection || !connection->send(protocol::Type::hello, protocol::encode(hello(words)))) return 1;
  const auto frame = connection->receive();
  if (!frame) return 1;
  return train(*connection, protocol::decode_welcome(frame->text()), words);
}

}  // namespace

int main(int argc, char** argv) {
  const Words words = words_of(argc, argv);
  std::puts("frames_trainer begins");
  std::fflush(stdout);
  if (words.contains("--exit")) return std::stoi(words.at("--exit"));
  const int code = run(words);
  if (words.contains("--linger")) {
    ::sleep(static_cast<unsigned>(std::stoi(words.at("--linger"))));
    std::puts("frames_trainer lingered");
  }
  return code;
}

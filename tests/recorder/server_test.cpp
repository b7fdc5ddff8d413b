// The server between real sockets and a sink that only listens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "replay/recorder/server.h"
#include "replay/run/error.h"
#include "tests/run/synthetic.h"

namespace samestep {
namespace {

using protocol::Ack;
using protocol::Connection;
using protocol::Type;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class ListeningSink : public Sink {
 public:
  Greeting on_hello(const Client& client) override {
    note("hello " + std::to_string(client.hello.rank));
    Greeting greeting;
    greeting.welcome.mode = mode;
    greeting.welcome.ask_start = ask_start;
    return greeting;
  }
  std::uint64_t on_start(const Client&, const protocol::Start&) override {
    note("start");
    return 17;
  }
  void on_layout(const Client&, const Layout&) override { note("layout"); }
  Ack on_step(const Client&, StepRecord&& record) override {
    if (record.step == refuse_at) throw BrokenClient("that step was not due");
    if (record.step == throw_at && throw_number) throw 7;
    if (record.step == throw_at) throw std::runtime_error("the disk is on fire");
    std::this_thread::sleep_for(step_time);
    ++steps;
    return {record.step, record.step == off_at ? Ack::Answer::off : Ack::Answer::go_on, false};
  }
  void on_anchor(const Client&, std::uint64_t step, Descriptor) override { note("anchor " + std::to_string(step)); }
  void on_dump(const Client&, std::uint64_t, Descriptor) override {}
  void on_event(const Client&, const protocol::Notice& notice) override { note("event " + notice.kind); }
  void on_gone(const Client&) override { note("gone"); }
  void on_end(const Client&, const ClientEnd& end) override { note("end " + end.how); }
  void on_tick() override { ++ticks; }

  [[nodiscard]] std::vector<std::string> notes() const {
    const std::scoped_lock lock(mutex_);
    return notes_;
  }

  protocol::Mode mode = protocol::Mode::record;
  std::chrono::milliseconds step_time{0};
  bool ask_start = false, throw_number = false;
  std::uint64_t refuse_at = ~std::uint64_t{0};
  std::uint64_t throw_at = ~std::uint64_t{0}, off_at = ~std::uint64_t{0};
  std::atomic<std::uint64_t> steps = 0, ticks = 0;

 private:
  void note(const std::string& text) {
    const std::scoped_lock lock(mutex_);
    notes_.push_back(text);
  }
  mutable std::mutex mutex_;
  std::vector<std::string> notes_;
};

const SyntheticRun run;
const Layout& layout() {
  static const Layout made = synthetic_layout(run);
  return made;
}

// A client that has been welcomed and has sent its layout.
Connection session(const Server& server, std::uint32_t rank = 0) {
  auto connection = Connection::connect(server.socket_path());
  EXPECT_TRUE(connection);
  protocol::Hello hello;
  hello.rank = rank;
  EXPECT_TRUE(connection->send(Type::hello, protocol::encode(hello)));
  EXPECT_TRUE(connection->receive());
  EXPECT_TRUE(connection->send(Type::layout, encode(layout())));
  return std::move(*connection);
}

bool send_step(Connection& connection, std::uint64_t step) {
  return connection.send(Type::step, encode(synthetic_record(run, layout(), step)));
}

Ack receive_ack(Connection& connection) {
  const auto frame = connection.receive(std::chrono::seconds(10));
  EXPECT_TRUE(frame);
  return frame ? protocol::decode_ack(frame->text()) : Ack{};
}

std::string last_note(const ListeningSink& sink) {
  const auto notes = sink.notes();
  return notes.empty() ? "" : notes.back();
}

TEST(Server, ListensInAPrivateFolderAndRemovesIt) {
  ListeningSink sink;
  std::filesystem::path folder;
  {
    const Server server(sink);
    folder = std::filesystem::path(server.socket_path()).parent_path();
    struct stat info {};
    ASSERT_EQ(::stat(folder.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700u);
  }
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST(Server, AcknowledgesEachStepInOrder) {
  ListeningSink sink;
  Server server(sink);
  Connection client = session(server);
  for (std::uint64_t step = 0; step < 20; ++step) ASSERT_TRUE(send_step(client, step));
  for (std::uint64_t step = 0; step < 20; ++step) EXPECT_EQ(receive_ack(client).step, step);
  ASSERT_TRUE(client.send(Type::bye, protocol::encode(protocol::Bye{})));
  server.finish();
  EXPECT_EQ(last_note(sink), "end closed");
}

TEST(Server, ServesManyClientsAtOnce) {
  ListeningSink sink;
  Server server(sink);
  std::vector<std::thread> clients;
  for (std::uint32_t rank = 0; rank < 8; ++rank)
    clients.emplace_back([&server, rank] {
      Connection client = session(server, rank);
      for (std::uint64_t step = 0; step < 50; ++step) {
        ASSERT_TRUE(send_step(client, step));
        ASSERT_EQ(receive_ack(client).step, step);
      }
    });
  for (std::thread& client : clients) client.join();
  server.finish();
  EXPECT_EQ(sink.steps, 400u);
}

TEST(Server, ASlowSinkDropsNothingAndBoundsItsQueue) {
  ListeningSink sink;
  sink.step_time = std::chrono::milliseconds(1);
  Server server(sink, {.queue_frames = 4, .queue_bytes = 10000});
  Connection client = session(server);
  std::thread sender([&] {
    for (std::uint64_t step = 0; step < 300; ++step) ASSERT_TRUE(send_step(client, step));
  });
  for (std::uint64_t step = 0; step < 300; ++step) ASSERT_EQ(receive_ack(client).step, step);
  sender.join();
}

TEST(Server, TakesInWhatAClientSentBeforeItWent) {
  ListeningSink sink;
  Server server(sink);
  {
    Connection client = session(server);
    for (std::uint64_t step = 0; step < 20; ++step) ASSERT_TRUE(send_step(client, step));
  }
  server.finish();
  EXPECT_EQ(sink.steps, 20u);
}

TEST(Server, AHostileClientHarmsNobodyElse) {
  ListeningSink sink;
  Server server(sink);
  Connection good = session(server);
  auto hostile = Connection::connect(server.socket_path());
  ASSERT_TRUE(hostile);
  EXPECT_EQ(::write(hostile->socket(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 35), 35);
  EXPECT_FALSE(hostile->receive(std::chrono::seconds(10)));
  Connection liar = session(server, 1);
  ASSERT_TRUE(liar.send(Type::step, std::string_view("not a record")));
  EXPECT_EQ(receive_ack(liar).answer, Ack::Answer::off);
  ASSERT_TRUE(send_step(good, 0));
  EXPECT_EQ(receive_ack(good).step, 0u);
  EXPECT_THAT(sink.notes(), ::testing::Contains(HasSubstr("end refused: ")));
}

TEST(Server, AStepBeforeItsLayoutIsRefused) {
  ListeningSink sink;
  Server server(sink);
  auto client = Connection::connect(server.socket_path());
  ASSERT_TRUE(client->send(Type::hello, protocol::encode(protocol::Hello{})));
  ASSERT_TRUE(client->receive());
  ASSERT_TRUE(send_step(*client, 0));
  EXPECT_EQ(receive_ack(*client).answer, Ack::Answer::off);
}

TEST(Server, ASinkThatThrowsTellsItsClientToTrainOn) {
  ListeningSink sink;
  sink.throw_at = 3;
  Server server(sink);
  Connection client = session(server), other = session(server, 1);
  for (std::uint64_t step = 0; step < 4; ++step) ASSERT_TRUE(send_step(client, step));
  for (std::uint64_t step = 0; step < 3; ++step) EXPECT_EQ(receive_ack(client).answer, Ack::Answer::go_on);
  EXPECT_EQ(receive_ack(client).answer, Ack::Answer::off);
  ASSERT_TRUE(send_step(other, 0));
  EXPECT_EQ(receive_ack(other).answer, Ack::Answer::go_on);
  server.finish();
  ASSERT_THAT(server.failures(), SizeIs(1));
  EXPECT_EQ(server.failures()[0], "the disk is on fire");
}

TEST(Server, ASinkThatThrowsNoExceptionEndsNoThread) {
  ListeningSink sink;
  sink.throw_at = 0;
  sink.throw_number = true;
  Server server(sink);
  Connection client = session(server), other = session(server, 1);
  ASSERT_TRUE(send_step(client, 0));
  EXPECT_EQ(receive_ack(client).answer, Ack::Answer::off);
  ASSERT_TRUE(send_step(other, 1));
  EXPECT_EQ(receive_ack(other).answer, Ack::Answer::go_on);
  server.finish();
  EXPECT_THAT(server.failures(), SizeIs(1));
}

// What a client got wrong is no failure of the recorder.
TEST(Server, AClientThatTheSinkRefusesIsNoFailure) {
  ListeningSink sink;
  sink.refuse_at = 3;
  Server server(sink);
  Connection client = session(server), other = session(server, 1);
  ASSERT_TRUE(send_step(client, 3));
  EXPECT_EQ(receive_ack(client).answer, Ack::Answer::off);
  ASSERT_TRUE(send_step(other, 0));
  EXPECT_EQ(receive_ack(other).answer, Ack::Answer::go_on);
  server.finish();
  EXPECT_TRUE(server.failures().empty());
  EXPECT_THAT(sink.notes(), ::testing::Contains("end refused: that step was not due"));
}

TEST(Server, AStartIsTakenOnceWhereItWasAskedAndBeforeTheFirstTable) {
  const std::string start = protocol::encode(protocol::Start{});
  for (const std::string when : {"twice", "late", "unasked"}) {
    ListeningSink sink;
    sink.ask_start = when != "unasked";
    Server server(sink);
    auto client = Connection::connect(server.socket_path());
    ASSERT_TRUE(client->send(Type::hello, protocol::encode(protocol::Hello{})));
    ASSERT_TRUE(client->receive());
    if (when == "late") {
      ASSERT_TRUE(client->send(Type::layout, encode(layout())));
    }
    ASSERT_TRUE(client->send(Type::start, start));
    if (when == "twice") {
      ASSERT_TRUE(client->receive());
      ASSERT_TRUE(client->send(Type::start, start));
    }
    EXPECT_EQ(receive_ack(*client).answer, Ack::Answer::off) << when;
    server.finish();
    EXPECT_EQ(last_note(sink), "end refused: a frame of type 2 came out of turn") << when;
    EXPECT_EQ(std::ranges::count(sink.notes(), "start"), when == "twice" ? 1 : 0);
  }
}

// Its successor may have its place: whatever it sent comes first, then that it is gone, then the successor's hello,
// long before anybody knows how it ended.
TEST(Server, ToldThatAClientIsGoneBeforeItsSuccessorSaysHello) {
  ListeningSink sink;
  Server server(sink);
  for (int i = 0; i < 20; ++i) {
    Connection client = session(server, static_cast<std::uint32_t>(i));
    for (std::uint64_t step = 0; step < 5; ++step) ASSERT_TRUE(send_step(client, step));
  }
  const Connection last = session(server, 20);
  std::vector<std::string> expected;
  for (int i = 0; i < 20; ++i) expected.insert(expected.end(), {"hello " + std::to_string(i), "layout", "gone"});
  server.finish();
  auto notes = sink.notes();
  std::erase_if(notes, [](const std::string& note) { return note.starts_with("end"); });
  notes.resize(expected.size());
  EXPECT_EQ(notes, expected);
}

TEST(Server, AfterOffTheConnectionEnds) {
  ListeningSink sink;
  sink.off_at = 1;
  Server server(sink);
  Connection client = session(server);
  ASSERT_TRUE(send_step(client, 0));
  ASSERT_TRUE(send_step(client, 1));
  EXPECT_EQ(receive_ack(client).answer, Ack::Answer::go_on);
  EXPECT_EQ(receive_ack(client).answer, Ack::Answer::off);
  EXPECT_FALSE(client.receive(std::chrono::seconds(10)));
  EXPECT_FALSE(client.timed_out());
}

TEST(Server, CountsTheClientsThatStillTrain) {
  ListeningSink sink;
  Server server(sink);
  EXPECT_EQ(server.live_clients(), 0u);
  const auto reaches = [&](std::size_t count) {
    for (int i = 0; i < 1000 && server.live_clients() != count; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return server.live_clients() == count;
  };
  {
    Connection client = session(server);
    EXPECT_TRUE(reaches(1));
  }
  EXPECT_TRUE(reaches(0));
}

// While it lives this process can open `more` descriptors only.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t more) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const Descriptor next(::dup(STDERR_FILENO));
    const rlimit lowered{static_cast<rlim_t>(next.get()) + more, before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &lowered), 0);
  }
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  rlimit before_{};
};

std::vector<Connection> unconnected(std::size_t count) {
  std::vector<Connection> list;
  for (std::size_t i = 0; i < count; ++i) list.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return list;
}

void connect(Connection& client, const Server& server) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, server.socket_path().c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::connect(client.socket(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
}

// True where it was welcomed, false where it was turned away; it hangs in neither case.
bool is_served(Connection& client) {
  (void)client.send(Type::hello, protocol::encode(protocol::Hello{}));
  const bool answered = client.receive(std::chrono::seconds(10)).has_value();
  EXPECT_FALSE(client.timed_out());
  return answered;
}

// Accepting failed, so the connections stayed in the queue: the recorder spun and the clients waited for ever.
TEST(Server, WithoutDescriptorsItTurnsClientsAwayAndLeavesNoneHanging) {
  ListeningSink sink;
  Server server(sink);
  auto clients = unconnected(20);
  auto late = unconnected(1);
  {
    const FewDescriptors few(5);
    for (Connection& client : clients) connect(client, server);
    std::size_t served = 0;
    for (Connection& client : clients) {
      served += is_served(client) ? 1 : 0;
      ASSERT_FALSE(client.timed_out());
    }
    EXPECT_GE(served, 1u);
    EXPECT_LE(served, 5u);
  }
  connect(late[0], server);
  EXPECT_TRUE(is_served(late[0]));
  server.finish();
  ASSERT_THAT(server.failures(), SizeIs(1));
  EXPECT_THAT(server.failures()[0], HasSubstr("turned away"));
}

TEST(Server, TicksEvenWhenNothingComes) {
  ListeningSink sink;
  Server server(sink, {.tick = std::chrono::milliseconds(5)});
  for (int i = 0; i < 1000 && sink.ticks < 3; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_GE(sink.ticks, 3u);
}

}  // namespace
}  // namespace samestep

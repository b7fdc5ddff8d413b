// Frames between two ends of a socket, well-formed and hostile.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <limits>
#include <thread>

#include "replay/recorder/protocol.h"
#include "replay/run/error.h"

namespace samestep::protocol {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

struct Pair {
  Pair() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    near.emplace(ends[0]);
    far.emplace(ends[1]);
  }
  // Bytes as a hostile peer sends them.
  void write(std::string_view bytes) const {
    EXPECT_EQ(::write(near->socket(), bytes.data(), bytes.size()), bytes.size());
  }
  std::optional<Connection> near, far;
};

// The bytes of a frame, to be damaged.
std::string frame_bytes(Type type, std::string_view payload) {
  Pair pair;
  EXPECT_TRUE(pair.near->send(type, payload));
  pair.near.reset();
  std::string bytes(4096, '\0');
  bytes.resize(static_cast<std::size_t>(::read(pair.far->socket(), bytes.data(), bytes.size())));
  return bytes;
}

std::string refusal_of(const std::string& bytes) {
  const Pair pair;
  pair.write(bytes);
  Connection& far = const_cast<Connection&>(*pair.far);
  try {
    (void)far.receive(std::chrono::milliseconds(100));
  } catch (const BrokenInput& error) {
    return error.what();
  }
  return "";
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST(Frame, ArrivesAsItWasSent) {
  Pair pair;
  ASSERT_TRUE(pair.near->send(Type::layout, "some text"));
  const auto frame = pair.far->receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->type, Type::layout);
  EXPECT_EQ(frame->text(), "some text");
  EXPECT_EQ(frame->descriptor, -1);
}

TEST(Frame, MayBeEmptyAndMayBeLarge) {
  Pair pair;
  const std::string large(20'000'000, 'x');
  std::thread sender([&] {
    EXPECT_TRUE(pair.near->send(Type::step, ""));
    EXPECT_TRUE(pair.near->send(Type::step, large));
  });
  EXPECT_EQ(pair.far->receive()->text(), "");
  EXPECT_EQ(pair.far->receive()->text(), large);
  sender.join();
}

TEST(Frame, IsPutTogetherFromSingleBytes) {
  Pair pair;
  for (const char byte : frame_bytes(Type::event, "slowly")) {
    EXPECT_FALSE(pair.far->receive(std::chrono::milliseconds(0)));
    EXPECT_TRUE(pair.far->timed_out());
    pair.write({&byte, 1});
  }
  EXPECT_EQ(pair.far->receive()->text(), "slowly");
}

TEST(Frame, CarriesADescriptor) {
  Pair pair;
  const int file = ::memfd_create("test", MFD_CLOEXEC);
  ASSERT_EQ(::write(file, "tensor", 6), 6);
  ASSERT_TRUE(pair.near->send(Type::anchor, encode(StepNumber{7}), file));
  ::close(file);
  const auto frame = pair.far->receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(decode_step_number(frame->text()).step, 7u);
  char bytes[7] = {};
  EXPECT_EQ(::pread(frame->descriptor, bytes, 6, 0), 6);
  EXPECT_STREQ(bytes, "tensor");
  EXPECT_TRUE((::fcntl(frame->descriptor, F_GETFD) & FD_CLOEXEC) != 0);
  ::close(frame->descriptor);
}

TEST(Frame, OfAPeerThatWentIsAnEndNotAnError) {
  Pair whole, half;
  whole.near.reset();
  EXPECT_FALSE(whole.far->receive());
  EXPECT_FALSE(whole.far->timed_out());
  half.write(frame_bytes(Type::step, "cut short").substr(0, 30));
  half.near.reset();
  EXPECT_FALSE(half.far->receive());
  EXPECT_FALSE(half.far->send(Type::ack, "nobody"));
}

TEST(HostileFrame, IsRefusedWithItsReason) {
  const std::string good = frame_bytes(Type::step, "payload");
  const auto with = [&](std::size_t at, char value) {
    std::string bytes = good;
    bytes[at] = value;
    return refusal_of(bytes);
  };
  EXPECT_EQ(refusal_of(good), "");
  EXPECT_THAT(with(0, 'X'), HasSubstr("its head begins with"));
  EXPECT_THAT(with(4, 9), HasSubstr("its version is 9"));
  EXPECT_THAT(with(6, 40), HasSubstr("type 40"));
  EXPECT_THAT(with(13, 1), HasSubstr("its length"));
  EXPECT_THAT(with(16, static_cast<char>(good[16] + 1)), HasSubstr("checksum"));
  EXPECT_THAT(with(25, '!'), HasSubstr("checksum"));
}

TEST(HostileFrame, ThatClaimsMuchTakesNoMemoryForIt) {
  Pair pair;
  std::string head = frame_bytes(Type::step, "x").substr(0, 24);
  const std::uint64_t claimed = max_payload;
  std::memcpy(head.data() + 8, &claimed, 8);
  pair.write(head + "only this");
  FrameReader reader;
  EXPECT_EQ(reader.read(pair.far->socket()), FrameReader::Progress::would_block);
  EXPECT_LT(reader.take().payload.capacity(), std::size_t{4} << 20);
}

TEST(HostileFrame, FloodOfDescriptorsIsClosed) {
  const std::size_t before = open_descriptors();
  {
    Pair pair;
    const std::string bytes = frame_bytes(Type::anchor, "{}");
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 100)] = {};
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * 100);
    std::vector<int> same(100, pair.near->socket());
    std::memcpy(CMSG_DATA(rights), same.data(), sizeof(int) * 100);
    ASSERT_GT(::sendmsg(pair.near->socket(), &message, 0), 0);
    EXPECT_THROW((void)pair.far->receive(), BrokenInput);
  }
  EXPECT_EQ(open_descriptors(), before);
}

// --- Messages ---------------------------------------------------------------------------------------------------

TEST(Message, SurvivesTheJourney) {
  Hello hello;
  hello.pid = 42;
  hello.rank = 3;
  hello.world_size = 8;
  hello.program = "train \xff.py";  // a path that is not UTF-8
  hello.environment = {{"threads", 2}};
  hello.files = {"/lib/libtorch.so"};
  const Hello told = decode_hello(encode(hello));
  EXPECT_EQ(told.pid, 42);
  EXPECT_EQ(told.rank, 3u);
  EXPECT_EQ(told.world_size, 8u);
  EXPECT_EQ(told.environment, hello.environment);
  EXPECT_EQ(told.files, hello.files);

  Welcome welcome;
  welcome.rank = 3;
  welcome.read_steps = {4, 9};
  welcome.mode = Mode::replay;
  welcome.from = 120;
  welcome.to = ~std::uint64_t{0};
  welcome.has_anchor = true;
  welcome.session_first_step = 40;
  welcome.host_reads = {~std::uint64_t{0}, 3};
  welcome.dump_step = 0;
  welcome.jump = welcome.pin_rng = true;
  welcome.hyper = {{"0.group0.lr", 0.1}, {"scale", std::numeric_limits<double>::infinity()}};
  const Welcome heard = decode_welcome(encode(welcome));
  EXPECT_EQ(heard.rank, 3U);
  EXPECT_THAT(heard.read_steps, ::testing::ElementsAre(4, 9));
  EXPECT_EQ(heard.mode, Mode::replay);
  EXPECT_EQ(heard.to, ~std::uint64_t{0});
  EXPECT_TRUE(heard.has_anchor);
  EXPECT_EQ(heard.session_first_step, 40U);
  EXPECT_EQ(heard.host_reads, welcome.host_reads);
  EXPECT_EQ(heard.dump_step, 0u);
  EXPECT_TRUE(heard.jump);
  EXPECT_TRUE(heard.pin_rng);
  EXPECT_EQ(heard.hyper, welcome.hyper);
  const Welcome plain = decode_welcome(encode(Welcome{}));
  EXPECT_FALSE(plain.dump_step);
  EXPECT_FALSE(plain.jump || plain.pin_rng || plain.hyper);

  const Ack ack = decode_ack(encode(Ack{5, Ack::Answer::off, true, {7, 8}}));
  EXPECT_EQ(ack.step, 5u);
  EXPECT_EQ(ack.answer, Ack::Answer::off);
  EXPECT_TRUE(ack.cut_anchor);
  EXPECT_EQ(ack.host_reads, (std::vector<std::uint64_t>{7, 8}));
  EXPECT_FALSE(ack.hyper);
  EXPECT_EQ(decode_ack(encode(Ack{5, Ack::Answer::go_on, false, {}, HyperValues{{"a", -0.0}}})).hyper->at("a"), 0.0);
  EXPECT_THROW((void)decode_ack(R"({"step":5,"answer":"go_on","cut_anchor":false,"host_reads":[],"hyper":{"a":"b"}})"),
               BrokenInput);
  EXPECT_EQ(decode_start(encode(Start{digest("x"), std::nullopt})).weights_in, digest("x"));
  EXPECT_EQ(decode_start(encode(Start{digest("x"), std::nullopt})).optimizer_in, std::nullopt);
  EXPECT_EQ(decode_start(encode(Start{digest("x"), digest("y")})).optimizer_in, digest("y"));
  EXPECT_EQ(decode_bye(encode(Bye{"closed", 9})).steps, 9u);
  EXPECT_EQ(decode_notice(encode(Notice{"environment", 4, "", "threads 2 -> 1"})).step, 4u);
}

TEST(Message, OfLoadedCodeSurvivesTheJourney) {
  const Code sent{"start", "/a/train.py", {{"one", "/a/one.py"}, {"two", "/a/two.so"}}, {"/lib/libc.so"}, {"/a"}};
  const Code code = decode_code(encode(sent));
  EXPECT_EQ(code.moment, "start");
  EXPECT_EQ(code.script, "/a/train.py");
  EXPECT_EQ(code.modules, sent.modules);
  EXPECT_EQ(code.libraries, sent.libraries);
  EXPECT_EQ(code.search_path, sent.search_path);
}

TEST(HostileMessage, NamesNoMoreFilesAndNoLongerPathsThanAreTaken) {
  Code many{"start", "", {}, std::vector<std::string>(Code::max_files + 1, "/x"), {}};
  EXPECT_THROW((void)decode_code(encode(many)), BrokenInput);
  Code folders{"start", "", {}, {}, std::vector<std::string>(Code::max_folders + 1, "/x")};
  EXPECT_THROW((void)decode_code(encode(folders)), BrokenInput);
  Code longish{"start", "", {{"m", std::string(Code::max_path + 1, 'x')}}, {}, {}};
  EXPECT_THROW((void)decode_code(encode(longish)), BrokenInput);
  EXPECT_THROW((void)decode_code(R"({"moment":"","script":"","modules":[["a"]],"libraries":[],"search_path":[]})"),
               BrokenInput);
}

TEST(HostileMessage, IsRefusedWithTheField) {
  const auto why = [](auto decode, const char* text) -> std::string {
    try {
      (void)decode(text);
    } catch (const BrokenInput& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(why(decode_ack, "not json"), HasSubstr("not valid JSON"));
  EXPECT_THAT(why(decode_ack, "[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(why(decode_ack, "{}"), HasSubstr("'step' is missing"));
  EXPECT_THAT(why(decode_ack, R"({"step":-1,"answer":"go_on","cut_anchor":false})"), HasSubstr("'step'"));
  EXPECT_THAT(why(decode_ack, R"({"step":1,"answer":"perhaps","cut_anchor":false})"), HasSubstr("perhaps"));
  EXPECT_THAT(why(decode_start, R"({"weights_in":"ABC"})"), HasSubstr("hexadecimal"));
  EXPECT_THAT(why(decode_hello, R"({"format_version":1,"pid":1,"rank":5000000000})"), HasSubstr("'rank'"));
  const std::string deep = std::string(100000, '[');
  EXPECT_THAT(why(decode_hello, deep.c_str()), HasSubstr("nested more than 32 deep"));
}

}  // namespace
}  // namespace samestep::protocol

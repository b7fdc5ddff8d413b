// The preloaded library and the listener, with a program that makes every call.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "replay/recorder/file_listener.h"
#include "tests/player/written_run.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using files::Kind;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

class Notes : public FileSink {
 public:
  files::Wish on_process(pid_t pid, const fs::path& program) override {
    EXPECT_GT(pid, 0);
    programs.push_back(program.filename());
    return wish;
  }
  void on_notice(Kind kind, const fs::path& path) override {
    if (throws) throw std::runtime_error("a file that cannot be kept");
    told.push_back(static_cast<char>(kind) + (" " + path.string()));
  }
  files::Wish wish = files::Wish::all;
  bool throws = false;
  std::vector<std::string> programs, told;
};

std::string text_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

class Preloaded : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"with", "without"}) prepare(folder_ / name);
    fs::create_directory(folder_ / "socket");
  }
  static void prepare(const fs::path& work) {
    fs::create_directories(work / "sub");
    for (const char* name : {"there", "sub/there", "removed", "replaced", "truncated", "by descriptor", "utimensat",
                             "utime", "utimes", "futimesat", "chmod", "fchmodat"})
      std::ofstream(work / name) << "old contents\n";
    fs::create_symlink("sub/there", work / "link");
  }
  // What the program printed.
  std::string run(const std::string& name, const std::string& environment = "") {
    const std::string line = "env " + environment + " " SAMESTEP_FILE_CALLS " " + (folder_ / name).string() + " >" +
                             (folder_ / "printed").string() + " 2>&1";
    EXPECT_EQ(std::system(line.c_str()), 0);
    return text_of(folder_ / "printed");
  }
  [[nodiscard]] std::string preloading() const {
    return "LD_PRELOAD=" SAMESTEP_FILES_LIBRARY " ASAN_OPTIONS=verify_asan_link_order=0 SAMESTEP_SOCKET=" +
           (folder_ / "socket/socket").string();
  }
  [[nodiscard]] std::string path(const char* name) const { return (folder_ / "with" / name).string(); }

  testing::Folder folder_;
  Notes notes_;
};

TEST_F(Preloaded, ChangesNothingThatAProgramSees) {
  const std::string plain = run("without");
  FileListener listener(folder_ / "socket", notes_);
  EXPECT_EQ(run("with", preloading()), plain);
  listener.finish();
  EXPECT_THAT(notes_.programs, Contains("file_calls"));
}

TEST_F(Preloaded, TellsWhatIsReadMadeChangedAndRemoved) {
  FileListener listener(folder_ / "socket", notes_);
  (void)run("with", preloading());
  listener.finish();
  EXPECT_THAT(notes_.told,
              IsSupersetOf({"r " + path("there"),    "r " + path("sub/there"),   "o " + path("made"),
                            "o " + path("created"),  "w " + path("there"),       "o " + path("streamed"),
                            "r " + path("streamed"), "w " + path("link"),        "o " + path("from a stream"),
                            "d " + path("made"),     "g " + path("made"),        "n " + path("renamed"),
                            "d " + path("replaced"), "n " + path("replaced"),    "n " + path("folder"),
                            "g " + path("folder"),   "n " + path("second link"), "n " + path("hard link"),
                            "d " + path("removed"),  "g " + path("removed"),     "w " + path("truncated")}));
  EXPECT_THAT(notes_.told, Not(Contains("g " + path("missing"))));
}

// A script that compares times, as make does, trains otherwise where it finds what an earlier run has touched.
TEST_F(Preloaded, TellsWhoseTimesAndModesAreSet) {
  FileListener listener(folder_ / "socket", notes_);
  (void)run("with", preloading());
  listener.finish();
  for (const char* name : {"by descriptor", "utimensat", "utime", "utimes", "futimesat", "chmod", "fchmodat"})
    EXPECT_THAT(notes_.told, Contains("w " + path(name)));
  EXPECT_EQ(std::ranges::count(notes_.told, "d " + path("link")), 2);
  EXPECT_THAT(notes_.told, Not(Contains("w " + path("missing"))));
}

// 800 opens by four threads, each file told once a way of opening.
TEST_F(Preloaded, TellsEachReadOnce) {
  FileListener listener(folder_ / "socket", notes_);
  (void)run("with", preloading());
  listener.finish();
  EXPECT_EQ(std::ranges::count(notes_.told, "r " + path("there")), 1);
  EXPECT_EQ(std::ranges::count(notes_.told, "w " + path("there")), 1);
}

TEST_F(Preloaded, TellsNothingWhereNothingIsWishedOrNobodyListens) {
  EXPECT_THAT(run("with", preloading()), HasSubstr("open good"));
  prepare(folder_ / "again");
  notes_.wish = files::Wish::nothing;
  FileListener listener(folder_ / "socket", notes_);
  (void)run("again", preloading());
  listener.finish();
  EXPECT_THAT(notes_.told, ElementsAre());
}

TEST_F(Preloaded, AFileThatCannotBeKeptDoesNotHoldUpTheProgram) {
  notes_.throws = true;
  FileListener listener(folder_ / "socket", notes_);
  EXPECT_EQ(run("with", preloading()), run("without"));
}

// --- The listener alone -----------------------------------------------------------------------------------------

void send_bytes(const fs::path& socket_path, const std::string& bytes) {
  const Descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket_path.c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

TEST_F(Preloaded, ListenerDropsWhatIsNoNotice) {
  FileListener listener(folder_ / "socket", notes_);
  const fs::path socket = folder_ / "socket" / files::socket_name;
  for (const std::string& bytes : {std::string("x/etc/passwd"), std::string("r"), std::string("rrelative"),
                                   std::string("r/a\0b", 5), std::string(100000, 'r')})
    send_bytes(socket, bytes);
  send_bytes(socket, "r/" + std::string(files::most_path_bytes - 1, 'a'));
  send_bytes(socket, "r/good");
  listener.finish();
  EXPECT_EQ(notes_.told.size(), 2U);
  EXPECT_EQ(notes_.told.back(), "r /good");
}

TEST(PreloadChanges, KeepTheUsersOwn) {
  const EnvironmentChanges changes = preload_changes("/lib/ours.so", {{"LD_PRELOAD", "/lib/mine.so"}});
  EXPECT_EQ(changes.at("LD_PRELOAD"), "/lib/ours.so:/lib/mine.so");
  EXPECT_EQ(preload_changes("/lib/ours.so", {}).at("LD_PRELOAD"), "/lib/ours.so");
}

}  // namespace
}  // namespace samestep

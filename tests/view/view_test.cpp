// Commands in views: real namespaces, real mounts, /bin/sh. Where the machine allows no view, each test checks how that
// is told. The same program runs as root and as an ordinary user (tests/view/CMakeLists.txt).
#include "replay/view/view.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "replay/recorder/server.h"
#include "replay/view/places.h"
#include "tests/player/written_run.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

// Hears nothing: the commands here say no hello.
class DeafSink : public Sink {
 public:
  Greeting on_hello(const Client&) override { return {}; }
  std::uint64_t on_start(const Client&, const protocol::Start&) override { return 0; }
  void on_layout(const Client&, const Layout&) override {}
  protocol::Ack on_step(const Client&, StepRecord&&) override { return {}; }
  void on_anchor(const Client&, std::uint64_t, Descriptor) override {}
  void on_dump(const Client&, std::uint64_t, Descriptor) override {}
  void on_event(const Client&, const protocol::Notice&) override {}
  void on_end(const Client&, const ClientEnd&) override {}
};

std::string text_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

class InAView : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(work());
    fs::create_directories(elsewhere());
    if (testing::view_refusal().empty()) return;
    EXPECT_THAT(testing::view_refusal(), HasSubstr("--in-place"));
    GTEST_SKIP() << "no views here: " << testing::view_refusal();
  }
  void TearDown() override { fs::remove_all(elsewhere()); }

  [[nodiscard]] fs::path work() const { return folder_ / "work"; }
  // Outside of everything a view lays over by itself.
  [[nodiscard]] static fs::path elsewhere() {
    return fs::path("/var/tmp") / ("samestep-test-" + std::to_string(::getpid()));
  }
  // What the command printed.
  std::string run(const std::string& shell, ViewOptions options = {}) {
    options.cwd = work();
    View view(options);
    return run_in(view, shell);
  }
  std::string run_in(View& view, const std::string& shell) {
    const fs::path output = elsewhere() / "output.txt";
    Server server(sink_);
    ending_ = launch({{"/bin/sh", "-c", shell}, work(), {}, output, &view}, server);
    return text_of(output);
  }

  testing::Folder folder_;
  DeafSink sink_;
  Ending ending_;
};

TEST_F(InAView, WhatIsRemovedStaysOutside) {
  std::ofstream(work() / "data") << "mine\n";
  const std::string printed = run("cat data; rm data; rm -rf " + work().string() + "/* ; ls; cd /tmp; rm -rf " +
                                  folder_.path().string() + "; ls " + folder_.path().string());
  EXPECT_EQ(text_of(work() / "data"), "mine\n");
  EXPECT_THAT(printed, HasSubstr("mine"));
  EXPECT_THAT(printed, HasSubstr("o such file"));
}

TEST_F(InAView, WhatIsWrittenIsSeenInsideAndNotOutside) {
  std::ofstream(work() / "log") << "old\n";
  EXPECT_EQ(run("echo new >> log; echo x > made; mkdir -p a/b; cat log made; pwd"),
            "old\nnew\nx\n" + work().string() + "\n");
  EXPECT_EQ(text_of(work() / "log"), "old\n");
  EXPECT_FALSE(fs::exists(work() / "made"));
  EXPECT_FALSE(fs::exists(work() / "a"));
}

TEST_F(InAView, TheMachineItselfCannotBeChanged) {
  const std::string printed =
      run("for f in /proc/sys/vm/stat_interval /proc/sys/kernel/core_pattern /proc/sysrq-trigger; do"
          " (: >> $f) && echo opened $f; done; (: > /sys/kernel/made) && echo made; echo 5 > /proc/self/oom_score_adj"
          " && echo own");
  EXPECT_THAT(printed, ::testing::Not(HasSubstr("opened")));
  EXPECT_THAT(printed, ::testing::Not(HasSubstr("made\n")));
  EXPECT_THAT(printed, HasSubstr("own")) << "what belongs to its process alone can be written as ever";
}

TEST_F(InAView, MemoryThatProcessesShareIsItsOwn) {
  const std::string outside = fs::read_symlink("/proc/self/ns/ipc").string() + "\n";
  EXPECT_NE(run("readlink /proc/self/ns/ipc"), outside) << "System V's segments and POSIX queues";
}

TEST_F(InAView, EveryStartGivesTheCommandAnotherNumber) {
  ViewOptions options;
  options.cwd = work();
  View view(options);
  const std::string first = run_in(view, "echo $$"), second = run_in(view, "echo $$");
  EXPECT_NE(first, second);
  EXPECT_LT(std::stoi(second), 1000) << "a view's own numbers";
}

TEST_F(InAView, AWriteElsewhereFailsUnlessItWasAllowed) {
  const std::string write = "echo x > " + (elsewhere() / "made").string() + " && echo written";
  EXPECT_THAT(run(write), HasSubstr("ead-only file system"));
  ViewOptions options;
  options.folders = {elsewhere()};
  EXPECT_EQ(run(write, options), "written\n");
  EXPECT_FALSE(fs::exists(elsewhere() / "made"));
}

TEST_F(InAView, EachStartSeesTheFoldersAsTheyAre) {
  ViewOptions options;
  options.cwd = work();
  View view(options);
  EXPECT_EQ(run_in(view, "test -e made || echo fresh; touch made"), "fresh\n");
  EXPECT_EQ(run_in(view, "test -e made || echo fresh; touch made"), "fresh\n");
}

// A checkout, a build, and then as many trials as are wanted.
TEST_F(InAView, WhatIsSettledIsThereForEveryLaterStart) {
  std::ofstream(work() / "gone") << "x";
  fs::create_directories(work() / "old/inner");
  ViewOptions options;
  options.cwd = work();
  View view(options);
  EXPECT_EQ(run_in(view, "echo 1 > made; rm gone; rm -r old; mkdir old; echo 2 > old/new"), "");
  view.settle();
  EXPECT_EQ(run_in(view, "cat made; ls . old; echo 3 >> made; rm old/new"), "1\n.:\nmade\nold\n\nold:\nnew\n");
  view.settle();
  EXPECT_EQ(run_in(view, "cat made; ls -A . old; rm made; touch other"), "1\n3\n.:\nmade\nold\n\nold:\n");
  EXPECT_EQ(run_in(view, "ls"), "made\nold\n");
  EXPECT_TRUE(fs::exists(work() / "gone"));
  EXPECT_TRUE(fs::exists(work() / "old/inner"));
  EXPECT_FALSE(fs::exists(work() / "made"));
}

// Contents that a program must find at a place, whoever the place belongs to.
EarlierFile other_contents(const fs::path& at, const fs::path& contents) {
  EarlierFile file;
  file.at = at;
  file.must = true;
  file.contents = std::make_shared<const Descriptor>(::open(contents.c_str(), O_RDONLY | O_CLOEXEC));
  file.size = fs::file_size(contents);
  file.mtime_ns = 1;
  file.mode = 0644;
  return file;
}

TEST_F(InAView, AFileThatMustStandAtAPlaceDoesWhoeverOwnsIt) {
  const fs::path place = "/usr/include/stdio.h";
  std::ofstream(work() / "other") << "other contents";
  const std::string before = text_of(place);
  ViewOptions options;
  options.folders = {place.parent_path()};
  options.before.files = {other_contents(place, work() / "other")};
  EXPECT_EQ(run("cat " + place.string(), options), "other contents");
  EXPECT_EQ(text_of(place), before);
}

TEST_F(InAView, WithoutAFileThatMustStandThereNothingStarts) {
  std::ofstream(work() / "other") << "other contents";
  ViewOptions options;
  options.before.files = {other_contents("/usr/include/stdio.h", work() / "other")};
  try {
    (void)run("touch started", options);
    ADD_FAILURE() << "it started";
  } catch (const BrokenInput& error) {
    EXPECT_THAT(error.what(), HasSubstr("/usr/include/stdio.h in the view: it lies in no folder"));
  }
}

// What makes the folders as they were earlier is made once: a checkout has the last word.
TEST_F(InAView, TheStateBeforeIsMadeOnceWhereSomethingIsSettled) {
  ViewOptions options;
  options.cwd = work();
  std::ofstream(work() / "made") << "x";
  options.before.hidden = {fs::canonical(work()) / "made"};
  View view(options);
  EXPECT_EQ(run_in(view, "ls; echo 1 > made"), "");
  view.settle();
  EXPECT_EQ(run_in(view, "cat made"), "1\n");
}

TEST_F(InAView, PathsMayHaveAnyCharacter) {
  const fs::path odd = work() / "a,b:c\\d e\n=";
  fs::create_directory(odd);
  ViewOptions options;
  options.cwd = odd;
  View view(options);
  const fs::path output = elsewhere() / "output.txt";
  Server server(sink_);
  (void)launch({{"/bin/sh", "-c", "echo x > y && ls"}, odd, {}, output, &view}, server);
  EXPECT_EQ(text_of(output), "y\n");
  EXPECT_FALSE(fs::exists(odd / "y"));
}

TEST_F(InAView, TheUserIsWhoItIsOutside) {
  EXPECT_EQ(run("id -u"), std::to_string(::getuid()) + "\n");
}

TEST_F(InAView, DevicesAndPrivateMemoryCanBeWritten) {
  const fs::path shared = fs::path("/dev/shm") / ("samestep-test-" + std::to_string(::getpid()));
  std::ofstream(shared) << "outside\n";
  const std::string printed =
      run("echo x > /dev/null && echo null; echo x > /dev/shm/made && echo shared; cat " + shared.string());
  EXPECT_THAT(printed, HasSubstr("null\nshared\n"));
  EXPECT_THAT(printed, HasSubstr("o such file"));
  EXPECT_FALSE(fs::exists("/dev/shm/made"));
  fs::remove(shared);
}

TEST_F(InAView, DevicesCanNeitherBeMadeNorRemoved) {
  const fs::path device = fs::path("/dev") / ("samestep-test-" + std::to_string(::getpid()));
  EXPECT_THAT(run("touch " + device.string() + " || echo refused"), HasSubstr("refused"));
  EXPECT_FALSE(fs::exists(device));
}

TEST_F(InAView, AFolderInSharedMemoryIsLaidOverToo) {
  const fs::path shared = fs::path("/dev/shm") / ("samestep-test-" + std::to_string(::getpid()));
  fs::create_directory(shared);
  std::ofstream(shared / "data") << "mine\n";
  ViewOptions options;
  options.folders = {shared};
  EXPECT_EQ(run("cd " + shared.string() + " && cat data && echo x > data && cat data", options), "mine\nx\n");
  EXPECT_EQ(text_of(shared / "data"), "mine\n");
  fs::remove_all(shared);
}

TEST_F(InAView, ProcessesOutsideAreNotSeen) {
  const std::string printed = run("ls /proc | grep -c '^[0-9]'; kill -0 " + std::to_string(::getpid()) + "; echo $$");
  EXPECT_LT(std::stoi(printed), 8) << printed;
}

// A socket that listens on this machine's loopback is another loopback's inside.
TEST_F(InAView, TheNetworkIsItsOwnLoopbackUnlessItIsAskedFor) {
  const std::string interfaces = "cat /proc/net/dev | grep -c :";
  EXPECT_EQ(run(interfaces), "1\n");
  EXPECT_THAT(run("cat /proc/net/fib_trie /proc/net/if_inet6 2>/dev/null"), HasSubstr("127.0.0.1"));
  ViewOptions options;
  options.network = true;
  std::ifstream here("/proc/net/dev");
  std::size_t count = 0;
  for (std::string line; std::getline(here, line);) count += line.find(':') != std::string::npos ? 1 : 0;
  EXPECT_EQ(run(interfaces, options), std::to_string(count) + "\n");
}

TEST_F(InAView, TheMountsCannotBeUndone) {
  std::ofstream(elsewhere() / "data") << "mine\n";
  const std::string file = (elsewhere() / "data").string();
  (void)run("mount -o remount,rw,bind / ; mount -o remount,rw / ; umount -l " + work().string() + "; umount -l /tmp; " +
            "echo x > " + file + "; echo x > data; unshare -Urm sh -c 'mount -o remount,rw,bind /; echo x > " + file +
            "'");
  EXPECT_EQ(text_of(elsewhere() / "data"), "mine\n");
  EXPECT_FALSE(fs::exists(work() / "data"));
}

TEST_F(InAView, TheEndIsTheCommands) {
  (void)run("exit 7");
  EXPECT_EQ(ending_.text(), "exited with code 7");
  (void)run("kill -9 $$");
  EXPECT_EQ(ending_.text(), "killed by signal 9");
  ViewOptions options;
  options.cwd = work();
  View view(options);
  Server server(sink_);
  ending_ = launch({{"/nowhere/program"}, work(), {}, {}, &view}, server);
  EXPECT_EQ(ending_.exit_code(), 127);
  EXPECT_THAT(ending_.error, HasSubstr("/nowhere/program"));
}

TEST_F(InAView, AScriptWithoutAnInterpreterLineIsAShellScript) {
  std::ofstream(work() / "script") << "echo from the script\n";
  fs::permissions(work() / "script", fs::perms(0755));
  ViewOptions options;
  options.cwd = work();
  View view(options);
  const fs::path output = elsewhere() / "output.txt";
  Server server(sink_);
  (void)launch({{"./script"}, work(), {}, output, &view}, server);
  EXPECT_EQ(text_of(output), "from the script\n");
}

// With the recorder's socket the folder beside it: programs leave files there.
TEST_F(InAView, TheRecordersSocketIsReached) {
  EXPECT_EQ(run("test -S $SAMESTEP_SOCKET && touch $(dirname $SAMESTEP_SOCKET)/process-0 && echo reached"),
            "reached\n");
}

TEST_F(InAView, WhatIsLeftInTheBackgroundEndsWithIt) {
  const auto began = std::chrono::steady_clock::now();
  (void)run("sleep 61.25 & sleep 61.25 >/dev/null 2>&1 & echo left");
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(30));
  EXPECT_NE(std::system("pgrep -f 'sleep 61[.]25' > /dev/null"), 0);
}

TEST_F(InAView, LeavesNothingInItsStorage) {
  fs::path storage;
  {
    ViewOptions options;
    options.cwd = work();
    View view(options);
    (void)run_in(view, "mkdir -p a/b; echo x > a/b/c; chmod 0 a/b a");
    storage = view.storage();
    EXPECT_TRUE(fs::exists(storage));
  }
  EXPECT_FALSE(fs::exists(storage));
}

TEST_F(InAView, WhatWasWrittenCanBeKept) {
  std::ofstream(work() / "old") << "old\n";
  std::ofstream(work() / "gone") << "gone\n";
  ViewOptions options;
  options.cwd = work();
  View view(options);
  (void)run_in(view,
               "echo new >> old; rm gone; mkdir out; echo x > out/weights; ln -s /etc/passwd out/link; mkfifo pipe");
  view.keep_output(folder_ / "kept");
  const fs::path kept = folder_ / ("kept" + fs::canonical(work()).string());
  EXPECT_EQ(text_of(kept / "old"), "old\nnew\n");
  EXPECT_EQ(text_of(kept / "out/weights"), "x\n");
  EXPECT_TRUE(fs::is_symlink(kept / "out/link"));
  EXPECT_FALSE(fs::exists(kept / "pipe"));
  EXPECT_EQ(text_of(folder_ / "kept/removed.txt"), (fs::canonical(work()) / "gone").string() + "\n");
}

TEST(ViewOfAFolder, ThatHoldsTheWholeSystemIsRefusedInWords) {
  ViewOptions options;
  options.cwd = "/";
  try {
    View view(options);
    FAIL() << "a view of everything";
  } catch (const BrokenInput& error) {
    EXPECT_THAT(error.what(), HasSubstr("--in-place"));
  }
}

}  // namespace
}  // namespace samestep

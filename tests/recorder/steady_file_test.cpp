// Descriptors from clients, as hostile as they come.
#include "replay/recorder/steady_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "replay/checkpoint/safetensors.h"
#include "replay/run/error.h"
#include "tests/run/temporary_folder.h"

namespace samestep {
namespace {

constexpr std::uint64_t limit = 1 << 20;

std::string refusal(int file) {
  const Descriptor given(file);
  try {
    static_cast<void>(steady_file(given, limit, "the anchor"));
  } catch (const BrokenInput& error) {
    return error.what();
  }
  return "accepted";
}

std::string contents(const Descriptor& file) {
  const MappedFile mapped(file.get(), "test");
  return {reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size()};
}

Descriptor memory(const std::string& text, unsigned flags) {
  Descriptor file(::memfd_create("test", MFD_CLOEXEC | flags));
  EXPECT_EQ(::write(file.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return file;
}

TEST(SteadyFile, RefusesWhatIsNoFile) {
  std::array<int, 2> pipe{}, pair{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()), 0);
  for (const int file : {pipe[0], pipe[1], pair[0], pair[1], ::open("/tmp", O_RDONLY), ::open("/dev/zero", O_RDONLY)})
    EXPECT_NE(refusal(file).find("no regular file"), std::string::npos);
  EXPECT_NE(refusal(-1).find("cannot be used"), std::string::npos);
}

// A terabyte that is not there once would have been copied into memory.
TEST(SteadyFile, RefusesAHugeSparseFile) {
  const TemporaryFolder folder;
  const int on_disk = ::open((folder / "huge").c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(::ftruncate(on_disk, off_t{1} << 40), 0);
  EXPECT_NE(refusal(on_disk).find("allowed are 1048576"), std::string::npos);
  const int in_memory = ::memfd_create("huge", MFD_ALLOW_SEALING);
  ASSERT_EQ(::ftruncate(in_memory, off_t{1} << 40), 0);
  EXPECT_NE(refusal(in_memory).find("allowed are 1048576"), std::string::npos);
}

// Mapped unsealed, a file that its sender shortened ended the recorder with SIGBUS.
TEST(SteadyFile, SealsAMemfdThatTakesSeals) {
  const Descriptor sent = memory("weights", MFD_ALLOW_SEALING);
  const Descriptor steady = steady_file(sent, limit, "the anchor");
  EXPECT_NE(::ftruncate(sent.get(), 0), 0);
  EXPECT_LT(::pwrite(sent.get(), "W", 1, 0), 0);
  EXPECT_EQ(contents(steady), "weights");
}

TEST(SteadyFile, CopiesAMemfdThatTakesNone) {
  const Descriptor sent = memory("weights", 0);
  const Descriptor steady = steady_file(sent, limit, "the anchor");
  ASSERT_EQ(::ftruncate(sent.get(), 0), 0);
  EXPECT_EQ(contents(steady), "weights");
}

TEST(SteadyFile, CopiesAMemfdThatIsStillWrittenTo) {
  const Descriptor sent = memory("weights", MFD_ALLOW_SEALING);
  void* mapped = ::mmap(nullptr, 7, PROT_READ | PROT_WRITE, MAP_SHARED, sent.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  const Descriptor steady = steady_file(sent, limit, "the anchor");
  *static_cast<char*>(mapped) = 'W';
  EXPECT_EQ(contents(steady), "weights");
  ::munmap(mapped, 7);
}

TEST(SteadyFile, CopiesAFileOnDisk) {
  const TemporaryFolder folder;
  const Descriptor sent(::open((folder / "file").c_str(), O_RDWR | O_CREAT, 0600));
  ASSERT_EQ(::write(sent.get(), "weights", 7), 7);
  const Descriptor steady = steady_file(sent, limit, "the anchor");
  ASSERT_EQ(::ftruncate(sent.get(), 0), 0);
  EXPECT_EQ(contents(steady), "weights");
}

}  // namespace
}  // namespace samestep

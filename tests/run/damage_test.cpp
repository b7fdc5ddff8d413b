// Damage: every file of a run truncated, emptied, exchanged, with bytes flipped, or edited by somebody who knows HDF5
// and renews the manifest. The answer is a clear error or `tampered`; where a run is still accepted, every byte that
// was read from it is as it was. Never a crash.
//
// SAMESTEP_DAMAGE_FLIPS sets the number of flipped bytes (10,000 by default, half of them in a run whose recorder was
// killed, so that no digest of the whole file helps); SAMESTEP_DAMAGE_SEED draws others.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>

#include "replay/checkpoint/anchor_check.h"
#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/run_files.h"
#include "replay/run/run_reader.h"
#include "tests/run/temporary_folder.h"
#include "tests/run/tiny_run.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

std::uint64_t setting(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::string read_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

// All that a reader takes from a run: the manifest, and for each segment what its log chain covers, which is
// everything.
std::string contents(const fs::path& run) {
  const RunReader reader(run);
  reader.check_integrity();
  check_anchors(reader);
  std::string text = manifest_text(reader.manifest()) + std::to_string(reader.end_step());
  for (const SegmentEntry& segment : reader.manifest().segments) {
    text += encode(reader.layout_of_segment(segment.number));
  }
  return text + reader.record(reader.end_step() - 1).log_chain.hex();
}

enum class Answer { refused, unchanged, changed };

class Damage : public testing::Test {
 protected:
  void write(const TinyRun& run) {
    write_tiny_run(original_, run);
    contents_ = contents(original_);
    for (const auto& entry : fs::recursive_directory_iterator(original_)) {
      if (entry.is_regular_file()) files_.push_back(fs::relative(entry.path(), original_).string());
    }
    std::sort(files_.begin(), files_.end());
  }

  // A fresh copy each time, under a new name: HDF5 keeps what it could not close.
  fs::path copy() {
    const fs::path run = folder_ / ("copy-" + std::to_string(++copies_));
    fs::copy(original_, run, fs::copy_options::recursive);
    return run;
  }

  Answer judge(const fs::path& run) {
    Answer answer = Answer::refused;
    try {
      answer = contents(run) == contents_ ? Answer::unchanged : Answer::changed;
    } catch (const BrokenInput& error) {
      message_ = error.what();
      EXPECT_FALSE(message_.empty());
    }
    fs::remove_all(run);
    return answer;
  }

  TemporaryFolder folder_;
  fs::path original_ = folder_ / "original";
  std::string contents_, message_;
  std::vector<std::string> files_;
  std::uint64_t copies_ = 0;
};

TEST_F(Damage, TruncatedEmptiedOrMissingFilesAreRefused) {
  write({});
  for (const std::string& file : files_) {
    const std::uintmax_t size = fs::file_size(original_ / file);
    for (const std::uintmax_t keep :
         {std::uintmax_t{0}, std::uintmax_t{1}, std::uintmax_t{7}, size / 3, size / 2, size - 1}) {
      const fs::path run = copy();
      fs::resize_file(run / file, keep);
      EXPECT_EQ(judge(run), Answer::refused) << file << " cut to " << keep;
    }
    const fs::path run = copy();
    fs::remove(run / file);
    EXPECT_EQ(judge(run), Answer::refused) << file << " removed";
  }
}

// A hole takes no disk, and an hour to read.
TEST_F(Damage, ALogMadeVeryLongIsRefusedAtOnce) {
  write({});
  const fs::path run = copy();
  fs::resize_file(run / format::log_file(0, 0), std::uintmax_t{1} << 40);
  EXPECT_EQ(judge(run), Answer::refused);
  EXPECT_NE(message_.find("it has 1099511627776 bytes, what was written to it ends at "), std::string::npos)
      << message_;
}

TEST_F(Damage, TruncatedLogsOfAKilledRecorderAreRefused) {
  TinyRun killed;
  killed.ended = false;
  write(killed);
  const std::string log = format::log_file(0, 0);
  const std::uintmax_t size = fs::file_size(original_ / log);
  for (std::uintmax_t keep = 0; keep < size; keep += 1 + size / 97) {
    const fs::path run = copy();
    fs::resize_file(run / log, keep);
    EXPECT_NE(judge(run), Answer::changed) << keep;
  }
}

TEST_F(Damage, ForeignFilesAreRefused) {
  write({});
  TinyRun other;
  other.seed = 8;
  other.run_id = std::string(32, 'f');
  write_tiny_run(folder_ / "foreign", other);
  for (const std::string& file : files_) {
    const fs::path run = copy();
    fs::copy(folder_ / "foreign" / file, run / file, fs::copy_options::overwrite_existing);
    EXPECT_EQ(judge(run), Answer::refused) << file;
    for (const std::string& source : files_) {
      if (source == file) continue;
      const fs::path mixed = copy();
      fs::copy(original_ / source, mixed / file, fs::copy_options::overwrite_existing);
      EXPECT_EQ(judge(mixed), Answer::refused) << source << " in place of " << file;
    }
  }
}

TEST_F(Damage, EveryFlippedByteOfAnEndedRunIsRefused) {
  write({});
  std::mt19937_64 random(setting("SAMESTEP_DAMAGE_SEED", 1));
  std::uintmax_t total = 0;
  for (const std::string& file : files_) total += fs::file_size(original_ / file);
  const std::uint64_t flips = setting("SAMESTEP_DAMAGE_FLIPS", 10000) / 2;
  for (std::uint64_t i = 0; i < flips; ++i) {
    std::uintmax_t at = random() % total;
    std::size_t number = 0;
    if (i % 4 == 0) {  // the small files get a share of their own
      number = i / 4 % files_.size();
      at = random() % fs::file_size(original_ / files_[number]);
    } else {
      while (at >= fs::file_size(original_ / files_[number])) at -= fs::file_size(original_ / files_[number++]);
    }
    const fs::path run = copy();
    std::string text = read_file(run / files_[number]);
    text[at] = static_cast<char>(text[at] ^ static_cast<char>(1 + random() % 255));
    write_file(run / files_[number], text);
    ASSERT_EQ(judge(run), Answer::refused) << files_[number] << ", byte " << at << ", flip " << i;
  }
}

// No digest of the whole file helps here: HDF5's checksums and our chains must do.
TEST_F(Damage, FlippedBytesOfAKilledRecordersLogAreRefusedOrWithoutMeaning) {
  TinyRun killed;
  killed.ended = false;
  killed.first_end = 8;
  killed.anchor_at = 0;
  write(killed);
  std::mt19937_64 random(setting("SAMESTEP_DAMAGE_SEED", 2));
  const std::string log = read_file(original_ / format::log_file(0, 0));
  const std::uint64_t flips = setting("SAMESTEP_DAMAGE_FLIPS", 10000) / 2;
  std::uint64_t unchanged = 0;
  for (std::uint64_t i = 0; i < flips; ++i) {
    const std::size_t at = random() % log.size();
    const fs::path run = copy();
    std::string text = log;
    text[at] = static_cast<char>(text[at] ^ static_cast<char>(1 + random() % 255));
    write_file(run / format::log_file(0, 0), text);
    const Answer answer = judge(run);
    ASSERT_NE(answer, Answer::changed) << "byte " << at << ", flip " << i;
    unchanged += answer == Answer::unchanged ? 1 : 0;
  }
  std::printf("%llu of %llu flips hit bytes that no reader reaches\n", static_cast<unsigned long long>(unchanged),
              static_cast<unsigned long long>(flips));
}

TEST_F(Damage, AnAnchorOfAnotherStepIsRefusedThoughTheManifestWasRenewed) {
  write({});
  TinyTraining training;
  while (training.updates() < 27) static_cast<void>(training.step());
  const fs::path run = copy();
  Manifest manifest = read_manifest(run);
  std::string anchor = training.anchor();
  for (const auto* claim :
       {"\\\"step\\\":27", "\\\"step\\\":25"}) {  // as it is, and as one that claims the step asked for
    anchor.replace(anchor.find("\\\"step\\\":27"), 11, claim);
    write_file(run / manifest.anchors[0].file, anchor);
    manifest.anchors[0].bytes = anchor.size();
    manifest.anchors[0].digest = file_digest(run / manifest.anchors[0].file);
    write_manifest(run, manifest);
    const RunReader reader(run);
    EXPECT_NO_THROW(reader.check_integrity());
    EXPECT_THROW(check_anchors(reader), TamperedInput);
  }
}

// --- Edits through h5py -----------------------------------------------------------------------------------------

std::string script() {
  return std::string(SAMESTEP_PYTHON) + " " + SAMESTEP_EDIT_RUN + " ";
}

std::vector<std::string> edits() {
  std::vector<std::string> names;
  FILE* out = ::popen((script() + "--list").c_str(), "r");
  std::array<char, 256> line{};
  while (out != nullptr && std::fgets(line.data(), line.size(), out) != nullptr) {
    names.push_back(std::string(line.data()).substr(0, std::string(line.data()).find('\n')));
  }
  if (out != nullptr) ::pclose(out);
  return names;
}

TEST_F(Damage, EditsThroughAnHdf5LibraryAreRefusedThoughTheManifestWasRenewed) {
  write({});
  const std::vector<std::string> names = edits();
  ASSERT_GT(names.size(), 20u) << "is SAMESTEP_PYTHON able to import h5py and blake3?";
  for (const std::string& name : names) {
    const fs::path run = copy();
    ASSERT_EQ(std::system((script() + run.string() + " " + name).c_str()), 0) << name;
    EXPECT_EQ(judge(run), Answer::refused) << name;
    std::printf("%-24s %s\n", name.c_str(), message_.c_str());
  }
}

}  // namespace
}  // namespace samestep

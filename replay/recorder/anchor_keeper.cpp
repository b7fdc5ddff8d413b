#include "replay/recorder/anchor_keeper.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <tuple>
#include <utility>
#include <vector>

#include "replay/checkpoint/safetensors.h"
#include "replay/recorder/steady_file.h"
#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/utc.h"

namespace samestep {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

// A file written piece by piece under a temporary name; it takes its own name only when all of it is on disk.
class SyncedFile {
 public:
  explicit SyncedFile(const fs::path& path)
      : path_(path),
        temporary_(path.string() + ".tmp"),
        file_(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
    if (!file_) fail();
  }
  ~SyncedFile() { ::unlink(temporary_.c_str()); }
  SyncedFile(const SyncedFile&) = delete;
  SyncedFile& operator=(const SyncedFile&) = delete;

  void write(const void* data, std::size_t size) {
    hasher_.update(data, size);
    bytes_ += size;
    const char* next = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t written = ::write(file_.get(), next, size);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail();
      next += written;
      size -= static_cast<std::size_t>(written);
    }
  }
  void commit() {
    if (::fsync(file_.get()) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) fail();
    const Descriptor folder(::open(path_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ::fsync(folder.get());
  }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] Digest digest() const { return hasher_.finish(); }

 private:
  [[noreturn]] void fail() const {
    throw BrokenInput(fmt::format("Writing the anchor {}: {}.", path_.string(), std::strerror(errno)));
  }

  fs::path path_;
  std::string temporary_;
  Descriptor file_;
  Hasher hasher_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

std::uint64_t default_anchor_budget(const fs::path& run) {
  std::error_code error;
  const fs::space_info space = fs::space(run, error);
  constexpr std::uint64_t most = std::uint64_t{10} << 30;
  return error ? most : std::min<std::uint64_t>(most, space.available / 10);
}

std::vector<AnchorEntry> anchors_to_drop(std::vector<AnchorEntry> anchors, std::uint64_t budget) {
  std::vector<AnchorEntry> dropped;
  std::uint64_t bytes = 0;
  for (const AnchorEntry& anchor : anchors) bytes += anchor.bytes;
  while (bytes > budget && anchors.size() > 2) {
    std::size_t best = 1;
    const auto gap = [&](std::size_t i) { return anchors[i + 1].step - anchors[i - 1].step; };
    for (std::size_t i = 2; i + 1 < anchors.size(); ++i)
      if (gap(i) < gap(best)) best = i;
    bytes -= anchors[best].bytes;
    dropped.push_back(anchors[best]);
    anchors.erase(anchors.begin() + static_cast<std::ptrdiff_t>(best));
  }
  return dropped;
}

AnchorKeeper::AnchorKeeper(fs::path run, std::string run_id, const AnchorPolicy& policy, ManifestKeeper& manifest,
                           Terminal& terminal)
    : run_(std::move(run)),
      run_id_(std::move(run_id)),
      policy_(policy),
      manifest_(manifest),
      terminal_(terminal),
      worker_([this](const std::string& what) {
        terminal_.say_once(fmt::format("Writing an anchor: {}. The training goes on.", what));
      }) {}

AnchorKeeper::~AnchorKeeper() {
  finish();
}

void AnchorKeeper::finish() {
  worker_.finish();
}

AnchorKeeper::Rank& AnchorKeeper::rank_of(std::uint32_t rank) {
  return ranks_.try_emplace(rank, Rank{AnchorPacing(policy_.share)}).first->second;
}

void AnchorKeeper::begin(std::uint32_t rank) {
  const std::scoped_lock lock(mutex_);
  rank_of(rank).asked = false;
}

void AnchorKeeper::expect(std::uint32_t rank, std::uint64_t bytes) {
  const std::scoped_lock lock(mutex_);
  Rank& known = rank_of(rank);
  known.pacing.expect(bytes);
  known.too_large = bytes > policy_.budget;
  if (!known.too_large) return;
  terminal_.say_once(
      fmt::format("an anchor takes about {:.1f} MB and does not fit the budget of {:.1f} MB: none will be "
                  "kept, and a replay starts at step 0 (--anchor-budget raises it)",
                  static_cast<double>(bytes) / 1e6, static_cast<double>(policy_.budget) / 1e6));
}

bool AnchorKeeper::ask(std::uint32_t rank) {
  const std::scoped_lock lock(mutex_);
  Rank& known = rank_of(rank);
  if (policy_.every != 0 || known.asked || known.too_large) return false;
  known.asked = known.pacing.can_pay(seconds_since(known.began));
  return known.asked;
}

bool AnchorKeeper::may_follow(std::uint32_t rank, std::uint64_t step) const {
  const std::scoped_lock lock(mutex_);
  const auto known = ranks_.find(rank);
  return (policy_.every != 0 && (step + 1) % policy_.every == 0) || (known != ranks_.end() && known->second.asked);
}

void AnchorKeeper::keep(std::uint32_t rank, std::uint32_t segment, std::uint64_t step, Descriptor file) {
  {
    const std::scoped_lock lock(mutex_);
    if (rank_of(rank).too_large) return;
  }
  worker_.wait_until_left(0);
  AnchorEntry entry{step, rank, segment, format::anchor_file(step, rank, segment), 0, {}};
  worker_.add(
      [this, entry = std::move(entry), file = std::make_shared<Descriptor>(std::move(file))] { write(entry, *file); });
}

void AnchorKeeper::write(AnchorEntry entry, const Descriptor& file) {
  const auto began = Clock::now();
  const auto rank = entry.rank;
  try {
    if (!is_kept(entry)) {
      store(entry, file);
      enter(entry);
      thin();
    }
  } catch (const std::exception& error) {
    terminal_.say_once(fmt::format("{} The training goes on without this anchor.", error.what()));
    manifest_.add(
        {utc_now_ns(), rank, "anchor", entry.step, "", fmt::format("An anchor was not kept: {}", error.what())});
  }
  const std::scoped_lock lock(mutex_);
  Rank& known = rank_of(rank);
  known.pacing.wrote(seconds_since(began));
  known.asked = false;
}

bool AnchorKeeper::is_kept(const AnchorEntry& entry) const {
  const Manifest manifest = manifest_.copy();
  return std::ranges::find(manifest.anchors, entry.file, &AnchorEntry::file) != manifest.anchors.end();
}

void AnchorKeeper::store(AnchorEntry& entry, const Descriptor& file) const {
  const std::string what = fmt::format("the anchor of step {}", entry.step);
  const Descriptor stable = steady_file(file, policy_.budget, what);
  const MappedFile memory(stable.get(), what);
  Safetensors contents = parse_safetensors(memory.bytes(), what);
  contents.metadata["run_id"] = run_id_;
  std::error_code ignored;
  fs::create_directories(run_ / format::anchor_folder, ignored);
  SyncedFile out(run_ / entry.file);
  const std::string head = safetensors_head(contents.tensors, contents.metadata);
  out.write(head.data(), head.size());
  for (const TensorView& tensor : contents.tensors) out.write(tensor.data.data(), tensor.data.size());
  out.commit();
  entry.bytes = out.bytes();
  entry.digest = out.digest();
}

void AnchorKeeper::enter(const AnchorEntry& entry) {
  manifest_.change([&](Manifest& manifest) {
    auto& anchors = manifest.anchors;
    // An overlapping segment comes by the same step again: both states stay, each to its segment.
    const auto order = [](const AnchorEntry& a) { return std::tuple(a.rank, a.step, a.segment); };
    anchors.insert(std::ranges::lower_bound(anchors, order(entry), {}, order), entry);
  });
  manifest_.renew();
}

void AnchorKeeper::thin() {
  std::vector<AnchorEntry> dropped;
  manifest_.change([&](Manifest& manifest) {
    std::map<std::uint32_t, std::vector<AnchorEntry>> ranks;
    for (const AnchorEntry& anchor : manifest.anchors) ranks[anchor.rank].push_back(anchor);
    for (const auto& [rank, anchors] : ranks)
      for (AnchorEntry& anchor : anchors_to_drop(anchors, policy_.budget / ranks.size()))
        dropped.push_back(std::move(anchor));
    std::erase_if(manifest.anchors, [&](const AnchorEntry& anchor) {
      return std::ranges::find(dropped, anchor.file, &AnchorEntry::file) != dropped.end();
    });
  });
  if (dropped.empty()) return;
  // First out of the manifest, then off the disk: a kill in between leaves a file too many, never one too few.
  manifest_.renew();
  for (const AnchorEntry& anchor : dropped) ::unlink((run_ / anchor.file).c_str());
}

}  // namespace samestep

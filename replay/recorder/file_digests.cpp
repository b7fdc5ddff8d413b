#include "replay/recorder/file_digests.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "replay/recorder/descriptor.h"
#include "replay/run/error.h"
#include "replay/run/run_files.h"

namespace samestep {

namespace {

constexpr std::size_t most_cached = 20000;
// A smaller file is read in less time than it takes to remember thousands of them, which every recording would have to
// read and write.
constexpr std::uint64_t least_cached = std::uint64_t{1} << 16;

std::int64_t nanoseconds(const timespec& time) {
  return time.tv_sec * std::int64_t{1000000000} + time.tv_nsec;
}

// The change time cannot be set by a program, so a file edited with its times put back is read again.
std::string identity(const struct stat& info) {
  return fmt::format("{}:{}:{}:{}:{}", info.st_dev, info.st_ino, info.st_size, nanoseconds(info.st_mtim),
                     nanoseconds(info.st_ctim));
}

std::optional<struct stat> regular_file(int descriptor) {
  struct stat info {};
  if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return info;
}

std::optional<Digest> digest_of(const FileDigests::Read& read, int descriptor, const std::string& path,
                                const std::atomic<bool>& give_up) {
  try {
    return read(descriptor, path, give_up);
  } catch (const BrokenInput&) {  // the manifest lists it without a digest
    return std::nullopt;
  }
}

}  // namespace

nlohmann::json to_json(const FileDigest& file) {
  nlohmann::json json{{"path", file.path},         {"role", file.role},     {"size", file.size},
                      {"mtime_ns", file.mtime_ns}, {"cached", file.cached}, {"digest", nullptr}};
  if (file.digest) json["digest"] = file.digest->hex();
  return json;
}

FileDigests::FileDigests(std::filesystem::path cache)
    : FileDigests(std::move(cache),
                  [](int descriptor, const std::filesystem::path& file, const std::atomic<bool>& give_up) {
                    return file_digest(descriptor, file, give_up);
                  }) {}

FileDigests::FileDigests(std::filesystem::path cache, Read read) : cache_(std::move(cache)), read_(std::move(read)) {
  load();
}

FileDigests::~FileDigests() {
  give_up_ = true;
}

void FileDigests::add(const std::string& path, const std::string& role) {
  {
    const std::scoped_lock lock(mutex_);
    if (!taken_.insert(path).second) return;
    ++added_;
  }
  worker_.add([this, path, role] { digest({path, role, 0, 0, std::nullopt, false}); });
}

void FileDigests::digest(FileDigest file) {
  const Descriptor descriptor(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const auto before = regular_file(descriptor.get());
  if (before) {
    file.size = static_cast<std::uint64_t>(before->st_size);
    file.mtime_ns = nanoseconds(before->st_mtim);
    const std::string key = identity(*before);
    const auto known = known_.find(key);
    file.cached = known != known_.end();
    file.digest = file.cached ? known->second : digest_of(read_, descriptor.get(), file.path, give_up_);
    const auto after = regular_file(descriptor.get());
    if (!after || identity(*after) != key) file.digest.reset();
    if (file.digest && file.size >= least_cached) used_[key] = *file.digest;
    fresh_ |= file.digest && file.size >= least_cached && !file.cached;
  }
  const std::scoped_lock lock(mutex_);
  if (before) done_.push_back(std::move(file));
}

std::vector<FileDigest> FileDigests::finish(std::chrono::milliseconds patience) {
  // A thread of its own watches the clock: the worker may be in the middle of a large file.
  std::atomic<bool> done = false;
  std::thread clock = quiet_thread([&] {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!done && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    give_up_ = true;
  });
  worker_.finish();
  done = true;
  clock.join();
  save();
  std::ranges::sort(done_, {}, &FileDigest::path);
  return done_;
}

std::filesystem::path FileDigests::default_cache() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  if (cache != nullptr && cache[0] == '/') return std::filesystem::path(cache) / "samestep" / "file-digests";
  if (home != nullptr && home[0] == '/') return std::filesystem::path(home) / ".cache" / "samestep" / "file-digests";
  return {};
}

void FileDigests::load() {
  std::ifstream in(cache_);
  std::string key, hex;
  while (order_.size() < most_cached && in >> key >> hex) {
    const auto digest = Digest::from_hex(hex);
    if (digest && known_.try_emplace(key, *digest).second) order_.push_back(key);
  }
}

// A cache that cannot be written costs time, nothing else.
void FileDigests::save() const {
  if (cache_.empty() || !fresh_) return;
  std::vector<std::pair<std::string, Digest>> all(used_.begin(), used_.end());
  for (const std::string& key : order_)
    if (all.size() < most_cached && !used_.contains(key)) all.emplace_back(key, known_.at(key));
  std::error_code ignored;
  std::filesystem::create_directories(cache_.parent_path(), ignored);
  const std::filesystem::path temporary = fmt::format("{}.{}", cache_.string(), ::getpid());
  {
    std::ofstream out(temporary);
    for (const auto& [key, digest] : all) out << key << ' ' << digest.hex() << '\n';
    if (!out.flush()) all.clear();
  }
  if (!all.empty()) std::filesystem::rename(temporary, cache_, ignored);
  std::filesystem::remove(temporary, ignored);
}

}  // namespace samestep

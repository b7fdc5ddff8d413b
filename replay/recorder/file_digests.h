// Digests the files that a run was made of (program, libraries, configuration) beside the training. A file whose
// device, inode, size and both times are known already is not read again: the manifest says which ones were looked up.
// Small ones are read each time.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernels/digest.h"
#include "replay/recorder/worker.h"

namespace samestep {

struct FileDigest {
  std::string path;
  std::string role;  // "program", "argument", "library", "module"
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::optional<Digest> digest;  // nullopt: could not be read, changed meanwhile, or the time ran out
  bool cached = false;           // looked up, not read
};
[[nodiscard]] nlohmann::json to_json(const FileDigest& file);

class FileDigests {
 public:
  // Of an open file from where it stands to its end; as file_digest(), BLAKE3, which is the default.
  using Read = std::function<std::optional<Digest>(int descriptor, const std::filesystem::path& file,
                                                   const std::atomic<bool>& give_up)>;
  // `cache`: the file that remembers digests, of one kind alone; empty: none is read or written.
  explicit FileDigests(std::filesystem::path cache);
  FileDigests(std::filesystem::path cache, Read read);
  ~FileDigests();  // gives up what is not done

  // Returns at once. A path given before is not taken twice; what is no regular file is left out.
  void add(const std::string& path, const std::string& role);
  // Waits at most `patience` for what is left, and writes the cache. Files by path.
  [[nodiscard]] std::vector<FileDigest> finish(std::chrono::milliseconds patience);

  // $XDG_CACHE_HOME/samestep/file-digests, else ~/.cache/...; empty where there is no home.
  [[nodiscard]] static std::filesystem::path default_cache();

 private:
  void digest(FileDigest file);
  void load();
  void save() const;

  std::filesystem::path cache_;
  Read read_;
  std::mutex mutex_;
  std::set<std::string> taken_;
  std::vector<FileDigest> done_;
  std::map<std::string, Digest> known_;  // by identity: device, inode, size, times
  std::vector<std::string> order_;       // of their keys: the last used come first
  std::map<std::string, Digest> used_;   // what this run met
  bool fresh_ = false;                   // of that, something was not known
  std::atomic<bool> give_up_ = false;
  std::size_t added_ = 0;
  Worker worker_{{}, true};  // a file whose digest failed is not listed
};

}  // namespace samestep

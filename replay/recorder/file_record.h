// Which files a recorded program read and wrote, for the manifest (docs/format.md, "Files"), and copies of those that
// it changed or removed, taken before it did.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "replay/recorder/file_digests.h"
#include "replay/recorder/file_listener.h"

namespace samestep {

class FileRecord : public FileSink {
 public:
  static constexpr const char* read_role = "read";

  // Copies go to `run`/inputs, at most `budget` bytes of them. Files that were read are given to `digests` with
  // read_role, large ones not. It must outlive this.
  FileRecord(std::filesystem::path run, std::uint64_t budget, FileDigests& digests);

  files::Wish on_process(pid_t pid, const std::filesystem::path& program) override;
  void on_notice(files::Kind kind, const std::filesystem::path& path) override;

  // True where the program that the process runs carries the library, or nobody can tell. Thread-safe.
  [[nodiscard]] bool sees(pid_t pid) const;

  // After the listener has finished. Copies of files that were not changed after all are removed first.
  void settle();
  // `digests`: of the files that were read.
  [[nodiscard]] nlohmann::json reads(const std::vector<FileDigest>& digests) const;
  // What was written so far. Reads copies that it has not read before; throws BrokenInput where one cannot be read.
  // Thread-safe.
  [[nodiscard]] nlohmann::json writes();
  // Something was written since writes() was last called. Thread-safe.
  [[nodiscard]] bool has_news() const { return has_news_; }

 private:
  // A file, link or folder that was there before and was changed or removed.
  struct Change {
    std::filesystem::file_type type = std::filesystem::file_type::regular;
    std::uint64_t inode = 0, size = 0;
    std::int64_t mtime_ns = 0;
    std::uint32_t mode = 0;
    std::string target;  // of a link
    std::string saved;   // "inputs/000001"; empty where there is no copy
    std::string digest;  // of the copy, once it was read
    std::string why;     // there is none
  };
  struct Read {
    std::uint64_t size = 0;
    std::int64_t mtime_ns = 0;
  };

  void digest_copies();
  [[nodiscard]] bool is_own(const std::filesystem::path& path) const;
  [[nodiscard]] bool is_made_here(const std::filesystem::path& path) const;
  void read(const std::filesystem::path& path);
  void keep(const std::filesystem::path& path);
  void add_made(const std::filesystem::path& path);
  void save(const std::filesystem::path& path, Change& change);
  void drop_unchanged();
  void drop_what_is_gone();

  std::filesystem::path run_;
  std::atomic<bool> has_news_ = false;
  std::uint64_t budget_;
  FileDigests& digests_;
  mutable std::mutex mutex_;  // of all that notices change, but for
  mutable std::mutex programs_mutex_;
  std::set<std::filesystem::path> programs_;  // that carry the library
  std::map<std::filesystem::path, Read> reads_;
  std::map<std::filesystem::path, Change> changes_;
  std::set<std::filesystem::path> made_;
  std::set<std::filesystem::path> folders_;  // that were written to
  std::uint64_t saved_bytes_ = 0, saved_count_ = 0, digested_bytes_ = 0, reads_left_out_ = 0, writes_left_out_ = 0;
};

}  // namespace samestep

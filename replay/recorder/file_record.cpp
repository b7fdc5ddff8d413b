#include "replay/recorder/file_record.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/run_files.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_files = 10000;  // of a kind in the manifest
constexpr std::size_t most_folders = 1000;
constexpr std::uint64_t most_digested_of_one = std::uint64_t{256} << 20;
constexpr std::uint64_t most_digested = std::uint64_t{4} << 30;

std::int64_t nanoseconds(const timespec& time) {
  return time.tv_sec * std::int64_t{1000000000} + time.tv_nsec;
}

// Empty where it is not there.
fs::path followed(const fs::path& path) {
  std::error_code error;
  fs::path real = fs::canonical(path, error);
  return error ? fs::path() : real;
}

// The folder's links resolved, the name as it is.
fs::path entry(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  const fs::path whole = normal.has_filename() ? normal : normal.parent_path();
  const fs::path folder = followed(whole.parent_path());
  return folder.empty() ? folder : folder / whole.filename();
}

std::optional<struct stat> status_of(const fs::path& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 ? std::make_optional(info) : std::nullopt;
}

fs::file_type type_of(const struct stat& info) {
  if (S_ISREG(info.st_mode)) return fs::file_type::regular;
  if (S_ISLNK(info.st_mode)) return fs::file_type::symlink;
  return S_ISDIR(info.st_mode) ? fs::file_type::directory : fs::file_type::unknown;
}

const char* name_of(fs::file_type type) {
  return type == fs::file_type::directory ? "folder" : type == fs::file_type::symlink ? "link" : "file";
}

std::string target_of(const fs::path& link) {
  std::error_code error;
  return fs::read_symlink(link, error).string();
}

// Shares the blocks where the file system can; else copies `size` bytes. False where it is cut short, with errno.
bool copy(int from, int to, std::uint64_t size) {
  if (::ioctl(to, FICLONE, from) == 0) return true;
  std::vector<char> block(std::size_t{1} << 20);
  while (size > 0) {
    const ssize_t got = ::read(from, block.data(), std::min<std::uint64_t>(size, block.size()));
    if (got <= 0) return got == 0;  // it has become shorter meanwhile
    for (ssize_t done = 0; done < got;) {
      const ssize_t written = ::write(to, block.data() + done, static_cast<std::size_t>(got - done));
      if (written <= 0) return false;
      done += written;
    }
    size -= static_cast<std::uint64_t>(got);
  }
  return true;
}

}  // namespace

FileRecord::FileRecord(fs::path run, std::uint64_t budget, FileDigests& digests)
    : run_(followed(run)), budget_(budget), digests_(digests) {
  std::error_code ignored;  // a run that is continued has copies already
  for (auto file = fs::directory_iterator(run_ / format::input_folder, ignored);
       !ignored && file != fs::directory_iterator(); file.increment(ignored))
    saved_count_ = std::max<std::uint64_t>(saved_count_, std::strtoull(file->path().filename().c_str(), nullptr, 10));
}

files::Wish FileRecord::on_process(pid_t, const fs::path& program) {
  const std::scoped_lock lock(programs_mutex_);
  if (programs_.size() < most_files) programs_.insert(program);
  return files::Wish::all;
}

bool FileRecord::sees(pid_t pid) const {
  std::error_code error;
  const fs::path program = fs::read_symlink(fmt::format("/proc/{}/exe", pid), error);
  const std::scoped_lock lock(programs_mutex_);
  return error || programs_.contains(program);
}

void FileRecord::on_notice(files::Kind kind, const fs::path& path) {
  using files::Kind;
  const bool follows = kind == Kind::read || kind == Kind::will_write || kind == Kind::opened_anew;
  const fs::path real = follows ? followed(path) : entry(path);
  if (real.empty() || is_own(real)) return;
  const std::scoped_lock lock(mutex_);
  if (kind == Kind::read) read(real);
  if (kind == Kind::will_write || kind == Kind::will_replace) keep(real);
  if (kind == Kind::opened_anew || kind == Kind::made) add_made(real);
  if (kind == Kind::gone) made_.erase(real);
  if (kind != Kind::read) has_news_ = true;
}

// What the recorder writes itself.
bool FileRecord::is_own(const fs::path& path) const {
  return std::mismatch(run_.begin(), run_.end(), path.begin(), path.end()).first == run_.end();
}

bool FileRecord::is_made_here(const fs::path& path) const {
  for (fs::path at = path; at.has_relative_path(); at = at.parent_path())
    if (made_.contains(at)) return true;
  return false;
}

void FileRecord::read(const fs::path& path) {
  if (is_made_here(path) || changes_.contains(path) || reads_.contains(path)) return;
  const auto info = status_of(path);
  if (!info || !S_ISREG(info->st_mode)) return;
  if (reads_.size() >= most_files) {
    ++reads_left_out_;
    return;
  }
  const auto size = static_cast<std::uint64_t>(info->st_size);
  reads_[path] = {size, nanoseconds(info->st_mtim)};
  if (size > most_digested_of_one || digested_bytes_ + size > most_digested) return;
  digested_bytes_ += size;
  digests_.add(path.string(), read_role);
}

void FileRecord::keep(const fs::path& path) {
  if (is_made_here(path) || changes_.contains(path)) return;
  const auto info = status_of(path);
  if (!info || type_of(*info) == fs::file_type::unknown) return;
  if (folders_.size() < most_folders) folders_.insert(path.parent_path());
  if (changes_.size() >= most_files) {
    ++writes_left_out_;
    return;
  }
  Change change{type_of(*info),
                info->st_ino,
                static_cast<std::uint64_t>(info->st_size),
                nanoseconds(info->st_mtim),
                info->st_mode & 07777U,
                {},
                {},
                {},
                {}};
  if (change.type == fs::file_type::symlink) change.target = target_of(path);
  if (change.type == fs::file_type::regular) save(path, change);
  changes_[path] = std::move(change);
}

void FileRecord::add_made(const fs::path& path) {
  if (changes_.contains(path) || is_made_here(path)) return;
  if (folders_.size() < most_folders) folders_.insert(path.parent_path());
  if (made_.size() < most_files)
    made_.insert(path);
  else
    ++writes_left_out_;
}

void FileRecord::save(const fs::path& path, Change& change) {
  if (saved_bytes_ + change.size > budget_) {
    change.why = "beyond the budget for inputs";
    return;
  }
  std::error_code error;
  fs::create_directory(run_ / format::input_folder, error);
  const std::string name = fmt::format("{}/{:06}", format::input_folder, ++saved_count_);
  const Descriptor from(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  const Descriptor to(from ? ::open((run_ / name).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1);
  struct stat kept {};
  if (to && copy(from.get(), to.get(), change.size) && ::fstat(to.get(), &kept) == 0) {
    change.saved = name;
    change.size = static_cast<std::uint64_t>(kept.st_size);  // somebody else may have written meanwhile
    saved_bytes_ += change.size;
    return;
  }
  change.why = std::strerror(errno);
  if (to) fs::remove(run_ / name, error);
}

void FileRecord::settle() {
  drop_unchanged();
  drop_what_is_gone();
}

// Opened for writing, and never written; or the removal failed.
void FileRecord::drop_unchanged() {
  for (auto at = changes_.begin(); at != changes_.end();) {
    const auto& [path, change] = *at;
    const auto info = status_of(path);
    const bool same = info && info->st_ino == change.inode && type_of(*info) == change.type &&
                      nanoseconds(info->st_mtim) == change.mtime_ns && (info->st_mode & 07777U) == change.mode &&
                      static_cast<std::uint64_t>(info->st_size) == change.size;
    if (!same && !(change.type == fs::file_type::directory && info)) {
      ++at;
      continue;
    }
    std::error_code ignored;
    if (!change.saved.empty()) fs::remove(run_ / change.saved, ignored);
    at = changes_.erase(at);
  }
  std::error_code ignored;
  fs::remove(run_ / format::input_folder, ignored);  // only where it is empty
}

void FileRecord::drop_what_is_gone() {
  std::erase_if(made_, [](const fs::path& path) { return !status_of(path); });
  std::erase_if(reads_, [&](const auto& file) { return changes_.contains(file.first) || is_made_here(file.first); });
}

nlohmann::json FileRecord::reads(const std::vector<FileDigest>& digests) const {
  std::map<std::string, const FileDigest*> known;
  for (const FileDigest& file : digests) known[file.path] = &file;
  auto list = nlohmann::json::array();
  for (const auto& [path, file] : reads_) {
    nlohmann::json entry{
        {"path", path.string()}, {"size", file.size}, {"mtime_ns", file.mtime_ns}, {"digest", nullptr}};
    const auto found = known.find(path.string());
    if (found != known.end() && found->second->digest && found->second->mtime_ns == file.mtime_ns)
      entry["digest"] = found->second->digest->hex();
    list.push_back(std::move(entry));
  }
  return {{"files", std::move(list)}, {"left_out", reads_left_out_}};
}

// Nobody who waits for a notice to be taken waits for a large copy.
void FileRecord::digest_copies() {
  std::vector<std::pair<fs::path, std::string>> unread;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [path, change] : changes_)
      if (!change.saved.empty() && change.digest.empty()) unread.emplace_back(path, change.saved);
  }
  for (const auto& [path, saved] : unread) {
    const std::string digest = file_digest(run_ / saved).hex();
    const std::scoped_lock lock(mutex_);
    changes_.at(path).digest = digest;
  }
}

nlohmann::json FileRecord::writes() {
  has_news_ = false;
  digest_copies();
  const std::scoped_lock lock(mutex_);
  nlohmann::json made = nlohmann::json::array(), changed = nlohmann::json::array(), folders = nlohmann::json::array();
  for (const fs::path& path : made_) {
    const auto info = status_of(path);
    if (info) made.push_back({{"path", path.string()}, {"type", name_of(type_of(*info))}});
  }
  for (const auto& [path, change] : changes_) {
    if (!change.saved.empty() && change.digest.empty()) continue;  // it came meanwhile
    const auto info = status_of(path);
    nlohmann::json entry{{"path", path.string()}, {"type", name_of(change.type)},
                         {"size", change.size},   {"mtime_ns", change.mtime_ns},
                         {"mode", change.mode},   {"removed", !info},
                         {"saved", nullptr},      {"digest", nullptr}};
    if (info && S_ISREG(info->st_mode))
      entry["left"] = {{"size", static_cast<std::uint64_t>(info->st_size)}, {"mtime_ns", nanoseconds(info->st_mtim)}};
    if (change.type == fs::file_type::symlink) entry["target"] = change.target;
    if (!change.why.empty()) entry["why"] = change.why;
    if (!change.saved.empty()) {
      entry["saved"] = change.saved;
      entry["digest"] = change.digest;
    }
    changed.push_back(std::move(entry));
  }
  for (const fs::path& folder : folders_) folders.push_back(folder.string());
  return {{"made", std::move(made)},
          {"changed", std::move(changed)},
          {"folders", std::move(folders)},
          {"left_out", writes_left_out_}};
}

}  // namespace samestep

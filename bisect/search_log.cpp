#include "bisect/search_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bisect/private_file.h"
#include "replay/run/error.h"

namespace samestep {
namespace {

constexpr std::size_t most_bytes = std::size_t{256} << 20;

[[noreturn]] void fail(const std::filesystem::path& file) {
  throw BrokenInput(fmt::format("Writing the bisect's log {}: {}", file.string(), std::strerror(errno)));
}

}  // namespace

void SearchLog::write(const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = ::write(out_.get(), text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail(file_);
    done += static_cast<std::size_t>(written);
  }
}

void SearchLog::add(const std::string& lines) {
  text_ += lines;
  if (!out_) return;
  if (!has_rest_) return write(lines);
  const std::string rest = rest_();
  replace(text_ + rest);
  has_rest_ = !rest.empty();
}

void SearchLog::begin(std::function<std::string()> rest) {
  if (out_) return;
  rest_ = std::move(rest);
  const std::string last = rest_();
  replace(text_ + last);
  has_rest_ = !last.empty();
}

void SearchLog::end() {
  if (has_rest_) replace(text_);
  has_rest_ = false;
}

// At once: a kill leaves the one or the other.
void SearchLog::replace(const std::string& text) {
  std::string temporary = file_.string() + ".XXXXXX";
  out_ = Descriptor(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!out_) fail(file_);
  try {
    write(text);
    constexpr mode_t readable = 0644;
    if (::fchmod(out_.get(), readable) != 0 || ::rename(temporary.c_str(), file_.c_str()) != 0) fail(file_);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

Transcript read_search_log(const std::filesystem::path& file) {
  const auto text = private_text(file, most_bytes);
  if (!text) {
    throw BrokenInput(
        fmt::format("{}: there is no log of a search: the bisect ended before its first trial, so start it as before",
                    file.string()));
  }
  return read_transcript(*text, file.string());
}

}  // namespace samestep

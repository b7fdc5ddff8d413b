// The log of a search on disk (bisect/transcript.h says what stands in it): written so that a kill at any moment leaves
// either the search's log or the one that it goes on from, and read back only where nobody else could have written it.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "bisect/transcript.h"
#include "replay/recorder/descriptor.h"

namespace samestep {

class SearchLog {
 public:
  explicit SearchLog(std::filesystem::path file) : file_(std::move(file)) {}

  // Lines with their newlines. Kept before it returns, once begin() was called; until then they are held back, for what
  // a search repeats from an older log stands in that one. Throws BrokenInput where the disk is full.
  void add(const std::string& lines);
  // Puts what was held back in place of whatever the file held, at once, and writes each line from here on. `rest`:
  // lines that stand at the file's end as long as it gives any, for an older log's answers that the search has not come
  // to yet are in no other file.
  void begin(std::function<std::string()> rest = [] { return std::string(); });
  // The search has ended: what it did not come to is left out.
  void end();

  [[nodiscard]] const std::filesystem::path& file() const { return file_; }

 private:
  void write(const std::string& text);
  void replace(const std::string& text);
  std::filesystem::path file_;
  std::string text_;  // all of it but the rest
  std::function<std::string()> rest_;
  bool has_rest_ = false;  // in the file
  Descriptor out_;
};

inline constexpr const char* log_name = "bisect.log";  // in a bisect's folder

// Throws BrokenInput naming the file where there is none, where another user could have written it (a log names the
// program that its trials start), and for what read_transcript() refuses.
[[nodiscard]] Transcript read_search_log(const std::filesystem::path& file);

}  // namespace samestep

#include "replay/view/refused_writes.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr std::streamoff tail = 1 << 20;
constexpr std::size_t most_paths = 10;

// What stands between two quotes and begins with '/'; empty where there is none.
fs::path quoted_path(const std::string& line) {
  for (const char quote : {'\'', '"', '`'}) {
    const std::size_t begin = line.find(std::string(1, quote) + "/");
    if (begin == std::string::npos) continue;
    const std::size_t end = line.find_first_of("'\"", begin + 1);
    if (end != std::string::npos) return line.substr(begin + 1, end - begin - 1);
  }
  return {};
}

}  // namespace

std::vector<fs::path> refused_writes(const fs::path& output) {
  std::ifstream in(output, std::ios::binary | std::ios::ate);
  if (!in) return {};
  in.seekg(std::max<std::streamoff>(0, static_cast<std::streamoff>(in.tellg()) - tail));
  std::vector<fs::path> found;
  for (std::string line; found.size() < most_paths && std::getline(in, line);) {
    if (line.find("ead-only file system") == std::string::npos) continue;
    const fs::path path = quoted_path(line);
    if (!path.empty() && std::ranges::find(found, path) == found.end()) found.push_back(path);
  }
  return found;
}

fs::path folder_to_allow(const fs::path& path) {
  std::error_code error;
  fs::path folder = path.lexically_normal();
  while (folder.has_relative_path() && !fs::is_directory(folder, error)) folder = folder.parent_path();
  return folder;
}

}  // namespace samestep

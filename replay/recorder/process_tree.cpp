#include "replay/recorder/process_tree.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace samestep {

namespace {

namespace fs = std::filesystem;

template <class Number>
bool take_number(const std::string& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// "PID (name) S PPID ...": the name may hold anything, so what counts stands behind its last parenthesis.
pid_t parent_of(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string line;
  std::getline(file, line);
  const std::size_t name = line.rfind(')');
  if (name == std::string::npos || name + 4 >= line.size()) return 0;
  pid_t parent = 0;
  return take_number(line.substr(name + 4, line.find(' ', name + 4) - name - 4), parent) ? parent : 0;
}

std::multimap<pid_t, pid_t> children() {
  std::multimap<pid_t, pid_t> by_parent;
  std::error_code error;
  for (auto entry = fs::directory_iterator("/proc", error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    pid_t process = 0;
    if (take_number(entry->path().filename().string(), process)) by_parent.emplace(parent_of(process), process);
  }
  return by_parent;
}

// "Pss:    1234 kB"
std::uint64_t memory_of(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/smaps_rollup");
  for (std::string word; file >> word;) {
    std::uint64_t kibibytes = 0;
    if (word == "Pss:" && file >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

}  // namespace

std::vector<pid_t> process_tree(pid_t root) {
  const auto by_parent = children();
  std::vector<pid_t> tree{root};
  for (std::size_t i = 0; i < tree.size(); ++i) {
    const auto [begin, end] = by_parent.equal_range(tree[i]);
    for (auto child = begin; child != end; ++child) tree.push_back(child->second);
  }
  return tree;
}

std::uint64_t memory_of(std::span<const pid_t> processes) {
  std::uint64_t bytes = 0;
  for (const pid_t process : processes) bytes += memory_of(process);
  return bytes;
}

}  // namespace samestep

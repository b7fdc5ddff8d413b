#include "bisect/submodules.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>

namespace samestep {
namespace {

namespace fs = std::filesystem;

// The paths of "160000 ..." entries: "MODE ... \tPATH", NUL-separated.
std::set<std::string> submodules_in(const std::string& listed) {
  std::set<std::string> paths;
  std::istringstream entries(listed);
  for (std::string entry; std::getline(entries, entry, '\0');)
    if (entry.starts_with("160000 ")) paths.insert(entry.substr(entry.find('\t') + 1));
  return paths;
}

std::set<std::string> submodules_now(const Repository& repository) {
  return submodules_in(repository.git().ask("Listing the submodules", {"ls-files", "--stage", "-z"}));
}

// Of what is no commit here there are none: git says more when it is to check it out.
std::set<std::string> submodules_of(const Repository& repository, const std::string& commit) {
  return submodules_in(
      repository.git().try_to({"ls-tree", "-r", "-z", "--full-tree", "--end-of-options", commit}).text);
}

// Repositories that git could take for submodules, and what they name.
class Gathering {
 public:
  explicit Gathering(const Git& git) : git_(git) {}

  // A name may hold slashes, and each may have submodules of its own: a repository is what has a HEAD.
  void take_below(const fs::path& folder) {
    std::error_code error;
    const fs::path real = fs::canonical(folder, error);
    if (error || !fs::is_directory(real, error) || !seen_.insert(real).second) return;
    if (fs::exists(real / "HEAD", error)) {
      // Its checkout may be gone, and git would look for it.
      take({"--git-dir=" + real.string(), "--work-tree=/"}, real);
      return take_below(real / "modules");
    }
    for (auto entry = fs::directory_iterator(real, error); !error && entry != fs::directory_iterator();
         entry.increment(error))
      take_below(entry->path());
  }

  // One that lies in a checkout, wherever its git folder is.
  void take_at(const fs::path& root) {
    std::error_code error;
    const fs::path real = fs::canonical(root, error);
    if (error || !fs::exists(real / ".git", error) || !seen_.insert(real).second) return;
    const std::vector<std::string> there{"-C", real.string()};
    take(there, real);
    std::vector<std::string> list = there;
    list.insert(list.end(), {"ls-files", "--stage", "-z"});
    for (const std::string& path : submodules_in(git_.ask("Listing the submodules of " + real.string(), list)))
      take_at(real / path);
  }

  [[nodiscard]] std::map<std::string, std::string> settings() && { return std::move(settings_); }

 private:
  void take(std::vector<std::string> words, const fs::path& where) {
    words.insert(words.end(), {"config", "--list", "--show-scope", "-z"});
    settings_.merge(harmless_settings(
        git_.ask(fmt::format("Reading the configuration of the submodule {}", where.string()), std::move(words))));
  }

  const Git& git_;
  std::set<fs::path> seen_;
  std::map<std::string, std::string> settings_;
};

}  // namespace

std::vector<std::string> submodules_not_in(const Repository& repository, const std::string& commit) {
  const std::set<std::string> now = submodules_now(repository);
  if (now.empty()) return {};
  std::vector<std::string> gone;
  std::ranges::set_difference(now, submodules_of(repository, commit), std::back_inserter(gone));
  return gone;
}

std::map<std::string, std::string> harmless_settings_of_submodules(const Repository& repository,
                                                                   const std::string& commit) {
  Gathering gathering(repository.git());
  for (const fs::path& folder : {repository.git_folder(), repository.common_folder()})
    gathering.take_below(folder / "modules");
  for (const std::string& path : submodules_of(repository, commit)) gathering.take_at(repository.root() / path);
  return std::move(gathering).settings();
}

}  // namespace samestep

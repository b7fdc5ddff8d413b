// What code the recorded processes really ran, beyond the command's own files: every imported Python module, every
// loaded shared object, which installed distribution each came with and whether its bytes are those that were
// installed, and the git state of the script's repository. The programs only name paths; all is read here, beside the
// training.
#pragma once

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "replay/recorder/distributions.h"
#include "replay/recorder/file_digests.h"
#include "replay/recorder/protocol.h"

namespace samestep {

class ProgramCode {
 public:
  // `files` must outlive it: what is to be digested is added there. `cache`: as FileDigests takes it, for SHA-256.
  // `asks_git`: of which revision the script is; not where it is another one than its folder's checkout.
  ProgramCode(FileDigests& files, std::filesystem::path cache, bool asks_git = true);

  // What a session told. Returns at once; the reading happens in a thread of low priority.
  void add(const protocol::Code& code);
  // After the last add(), before the files' digests are finished: what is to be digested has all been named.
  void settle();
  // Once, after settle(). Puts "files" into `what`, and where a session told of code "distributions" and
  // "script_revision" (docs/format.md). `files`: as FileDigests::finish() gave them; waits at most `patience` for
  // SHA-256.
  void describe(nlohmann::json& what, const std::vector<FileDigest>& files, std::chrono::milliseconds patience);

  // The default for `cache`, beside FileDigests::default_cache(); empty where there is none.
  [[nodiscard]] static std::filesystem::path default_cache();

 private:
  struct Module {
    std::string name;
    bool from_start = false;  // it was there at the first training event
  };
  struct Owner {
    std::size_t distribution = 0;
    const InstalledFile* file = nullptr;
  };

  void scan(const std::string& folder);
  void check(const std::vector<std::string>& paths);
  void ask_git(const std::string& script);
  [[nodiscard]] const Owner* owner_of(const std::string& path) const;
  [[nodiscard]] nlohmann::json file_json(const FileDigest& file) const;
  [[nodiscard]] nlohmann::json distributions_json(const std::vector<FileDigest>& files);

  FileDigests& files_;
  FileDigests sha256_;
  std::map<std::string, Module> modules_;  // by path
  std::size_t told_ = 0;
  // The worker's until it has finished:
  std::set<std::string> scanned_;
  std::deque<Distribution> distributions_;  // in the order of the module path; never moved, Owner points into it
  std::map<std::string, Owner> owners_;     // by path, as the module path spells it and without symbolic links
  bool script_known_ = false;
  nlohmann::json script_revision_;
  Worker worker_{{}, true};
};

// One sentence for each distribution in `what` (as describe() leaves it) that has files with other bytes than its
// RECORD states.
[[nodiscard]] std::vector<std::string> changed_packages(const nlohmann::json& what);

}  // namespace samestep

// The manifest of the run being recorded: changed by several threads, renewed on disk as a whole.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "replay/run/manifest.h"

namespace samestep {

// Thread-safe. A renewal never holds up a change: the text is written from a copy.
class ManifestKeeper {
 public:
  ManifestKeeper(std::filesystem::path run, Manifest manifest);

  // Changes the manifest in memory.
  void change(const std::function<void(Manifest&)>& edit);
  [[nodiscard]] Manifest copy() const;
  // Adds an event; of each kind the first 1000 are kept, the others counted. `is_difference`: it tells where bits part,
  // and is shown before others of its kind.
  void add(Event event, bool is_difference = false);
  // Events of each kind, with those that were only counted.
  [[nodiscard]] std::map<std::string, std::uint64_t> event_counts() const;
  // Of the events of a kind that were added here the one that the summing up shows: the first that tells of a
  // difference, else the first. REQUIRES that there is one.
  struct Shown {
    std::string text;
    bool is_difference = false;
  };
  [[nodiscard]] Shown most_telling(const std::string& kind) const;

  // Puts on disk what has changed since the last renewal, if anything; afterwards all earlier changes are there. Throws
  // BrokenInput where the folder cannot be written; the old manifest stays then.
  void renew();
  // Digests the logs of segments that have ended and whose contents are known, where that was not done before. Throws
  // BrokenInput where one cannot be read.
  void digest_ended_logs();
  // Nothing changed since the last renewal.
  [[nodiscard]] bool is_renewed() const;

 private:
  std::filesystem::path run_;
  mutable std::mutex changing_;
  std::mutex writing_;  // taken before changing_
  Manifest manifest_;
  std::map<std::string, std::uint64_t> counts_;
  std::map<std::string, Shown> shown_;
  bool changed_ = true;
};

}  // namespace samestep

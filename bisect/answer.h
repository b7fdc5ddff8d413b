// What a revision search concludes: one value, one text form, one JSON form.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bisect/trial.h"

namespace samestep {

enum class Conclusion : std::uint8_t {
  culprit,             // one commit, proven by trials of it and of its parents
  several,             // one of `remaining` did it; no trial that is possible or allowed tells which
  changes,             // every change of behaviour that was asked for: `changes`
  unchanged,           // every commit was looked at, and all behave alike
  end_not_as_claimed,  // the good revision does not reproduce the run, or the bad one does
  flaky,               // an end differs from itself, so that nothing can be concluded
  untestable,          // nothing builds
};
[[nodiscard]] std::string_view name(Conclusion conclusion);

// A place where behaviour changes. One commit: proven, unless `proven` is false (it could not be run itself). Several:
// one or more of them did it.
struct BehaviourChange {
  std::vector<std::string> commits;  // oldest first
  bool proven = false;
  std::optional<std::uint64_t> step;  // of the first trial of the newest that diverged from the reference
  std::optional<Lane> lane;
  std::string tensor;
  std::string behaviour_before, behaviour_after;  // chain heads; empty where only same and diverged are known
};

// How far the trials could be trusted (bisect/noise.h says what is assumed).
struct Flakiness {
  double error_rate = 0;             // estimated: how often a trial's same or diverged is wrong
  double wrong_accusation = 0;       // estimated: that the answer names commits wrongly
  std::uint64_t flaky_answers = 0;   // trials that answered `flaky`
  std::uint64_t contradictions = 0;  // answers that others about the same tree outvoted
  std::uint64_t repeated = 0;        // trials of a tree that had answered before
};

struct BisectAnswer {
  Conclusion conclusion = Conclusion::untestable;
  std::optional<BehaviourChange> accused;  // of a search for one culprit: it, or what remains
  std::vector<std::string> remaining;      // commits it could not tell apart, oldest first; empty beside a culprit
  std::vector<BehaviourChange> changes;    // oldest first; of a search for all changes
  std::vector<std::string> unseen;         // commits of a search for all changes that could not be looked at
  std::uint64_t trials = 0;                // all of them, untestable ones too
  std::uint64_t untestable = 0;
  std::uint64_t rounds = 0;  // batches of trials, one after the other
  std::uint64_t steps_replayed = 0;
  Flakiness flakiness;
  std::string why;                       // one sentence: what the conclusion rests on, or what kept it open
  std::vector<std::string> evidence;     // sentences, most telling first
  std::vector<std::string> assumptions;  // what was assumed and not looked at
};

// 0 one culprit proven (or every change named, each proven); 3 several remain, flaky, or an end is not as claimed; 2
// nothing builds.
[[nodiscard]] int exit_code(const BisectAnswer& answer);

// What a repository knows of a commit: `author`, `date`, `subject`, `signature`. Fields that it leaves out are null.
using DescribeCommit = std::function<nlohmann::json(const std::string& commit)>;
[[nodiscard]] nlohmann::json to_json(const BisectAnswer& answer, const DescribeCommit& describe = {});

// One screen of text.
std::ostream& operator<<(std::ostream& out, const BisectAnswer& answer);

}  // namespace samestep

// replay/compare/ takes two records in and gives a verdict out. It may include kernels/, replay/run/ and
// replay/checkpoint/; it starts no process and opens no socket. This header: what a comparison concludes. One value,
// one text form, one JSON form, used by the command line, the reports and the tests.
#pragma once

#include <array>
#include <cstdint>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "replay/run/record.h"

namespace samestep {

enum class Outcome : std::uint8_t { same, diverged, flaky, incomparable, tampered };
[[nodiscard]] std::string_view name(Outcome outcome);
// 0 same, 1 diverged, 3 flaky or incomparable, 4 tampered.
[[nodiscard]] int exit_code(Outcome outcome);
inline constexpr int exit_usage = 2;  // usage or I/O
inline constexpr int exit_untestable = 125;
inline constexpr int exit_ends_git_bisect = 128;  // of `git bisect run`: what is wrong is no revision's fault

// The kind of cause.
enum class Cause : std::uint8_t {
  environment,
  state_edited,
  rng,
  batch,
  hyper,
  forward,
  backward,
  update,
  nondeterministic,
  structure,
  ended
};
[[nodiscard]] std::string_view name(Cause cause);

// How a lane fared over the steps compared. `partly`: equal wherever both sides captured it, but at other steps one
// side did not, so it must not read as equal.
enum class LaneOutcome : std::uint8_t { not_compared, equal, differs, partly, absent, given };
[[nodiscard]] std::string_view name(LaneOutcome outcome);

// How often a lane was met in which way. A lane that is off its schedule on a side counts as absent: both sides follow
// the schedule, and segments and anchors may add to it.
struct LaneTally {
  std::uint64_t equal = 0;
  std::uint64_t differs = 0;
  std::uint64_t one_sided = 0;  // captured on one side, absent on the other although it was due
  std::uint64_t given = 0;      // to one side or both
  std::uint64_t absent = 0;
  std::uint64_t first_has = 0;  // of one_sided: those where the first side captured it

  [[nodiscard]] std::uint64_t compared() const { return equal + differs; }
  [[nodiscard]] std::uint64_t missed() const { return one_sided + given; }  // due, and not compared
  [[nodiscard]] LaneOutcome outcome() const;
};
using LaneTallies = std::array<LaneTally, lane_count>;
// True where at least one lane was captured on both sides at one step and equal.
[[nodiscard]] bool any_lane_compared(const LaneTallies& lanes);
// What a result does not speak of, one sentence a lane: lanes that were missed at some steps or at all of them, and
// those that neither side has. `state` that neither side has is not told: most programs name none.
[[nodiscard]] std::vector<std::string> lane_limits(const LaneTallies& lanes);
// What it usually means that steps have a batch on one side only, and which side lacks it; empty where none do. `a`,
// `b`: what to call the sides.
[[nodiscard]] std::string missing_batch(const LaneTallies& lanes, const std::string& a, const std::string& b);

struct Verdict {
  Outcome outcome = Outcome::incomparable;
  std::optional<Cause> cause;         // "class" in JSON
  std::optional<std::uint64_t> step;  // first that differs
  std::optional<std::uint64_t> last_same_step;
  std::optional<Lane> lane;  // first that differs, in causal order
  std::string tensor;        // label of the first that differs in that lane; empty: unknown
  std::string op;            // "operator" in JSON; empty: unknown
  LaneTallies lanes{};
  std::uint64_t steps_compared = 0;
  std::string method = "exact";
  std::vector<std::string> evidence;  // sentences, most telling first
  std::vector<std::string> suspects;  // changed files and settings
  std::vector<std::string> limits;    // what this result does not prove
  std::string reproduce;              // the exact command
};

[[nodiscard]] nlohmann::json to_json(const Verdict& verdict);
// One screen of text, in the order design.md gives: verdict and class; step, tensor, operator; last equal state;
// differences; counts or estimates; cost; command; limits.
std::ostream& operator<<(std::ostream& out, const Verdict& verdict);

// Where two records of one step part.
struct Difference {
  std::uint64_t step = 0;
  Lane lane = Lane::weights_in;
  std::string tensor;  // label of the first entry that differs; "#3" in a list lane; empty: detail thinned
  std::vector<std::string> tensors;  // all entries of the lane that differ (labels), at most 1000
  std::string detail;                // one sentence: how they differ (value, shape, count, estimated distance, ...)
  bool structural = false;           // a named lane's counts, dtypes or shapes, or the optimizers, do not match
};

// The first lane that differs, in causal order; nullopt where all lanes present on both sides are equal. Lanes absent
// or given on either side are not evidence and are skipped. `lanes` (if given) counts how each fared. Names are labels:
// a rename is no difference, except in `hyper`, whose names enter its digest.
[[nodiscard]] std::optional<Difference> compare(const StepRecord& a, const Layout& layout_a, const StepRecord& b,
                                                const Layout& layout_b, LaneTallies* lanes = nullptr);

// The class that the table of docs/verdicts.md gives a first difference.
[[nodiscard]] Cause classify(const Difference& difference);

}  // namespace samestep

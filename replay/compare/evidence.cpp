#include "replay/compare/evidence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "replay/compare/entries.h"

namespace samestep::evidence {
namespace {

bool has(const StepSource& steps, std::uint64_t step) {
  return step >= steps.first_step() && step < steps.end_step();
}

// Both sides' summaries of a lane, column by column; empty where one side has none or the structure differs.
struct Pair {
  std::string name;
  const Summary* a;
  const Summary* b;
};

std::vector<Pair> summaries(const StepRecord& a, const Layout& layout_a, const StepRecord& b, const Layout& layout_b,
                            Lane lane) {
  const auto x = compare_detail::entries(a.of(lane), layout_a.of(lane));
  const auto y = compare_detail::entries(b.of(lane), layout_b.of(lane));
  std::vector<Pair> pairs;
  if (x.size() != y.size()) return pairs;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool known = x[i].index < a.of(lane).summaries.size() && y[i].index < b.of(lane).summaries.size();
    if (!known || x[i].column->shape != y[i].column->shape) return {};
    pairs.push_back({x[i].column->name, &a.of(lane).summaries[x[i].index], &b.of(lane).summaries[y[i].index]});
  }
  return pairs;
}

// The factor c with b = c * a as far as the sketches tell: every projection fits to a thousandth of the norm, which is
// above the rounding of the narrowest training dtype's products and far below any real change of direction.
std::optional<double> proportion(const Summary& a, const Summary& b) {
  double products = 0;
  double squares = 0;
  for (std::size_t k = 0; k < Sketch::size; ++k) {
    products += a.sketch.p[k] * b.sketch.p[k];
    squares += a.sketch.p[k] * a.sketch.p[k];
  }
  if (!(squares > 0) || !(b.statistics.norm > 0)) return std::nullopt;
  const double c = products / squares;
  for (std::size_t k = 0; k < Sketch::size; ++k) {
    if (!(std::abs(b.sketch.p[k] - c * a.sketch.p[k]) <= 1e-3 * b.statistics.norm)) return std::nullopt;
  }
  const bool norms_agree = std::abs(b.statistics.norm - std::abs(c) * a.statistics.norm) <= 1e-3 * b.statistics.norm;
  return norms_agree ? std::optional(c) : std::nullopt;
}

// A reader thinks in "-1" and "0.5", not in the last digits of an estimate.
std::string factor(double c) {
  return fmt::format("{:.4g}", c);
}

std::string scale_sentence(const std::vector<std::string>& names, std::size_t all, double c, const RunSide& a) {
  const std::string which = names.size() == all ? "all gradients"
                            : names.size() == 1 ? "the gradient of " + names.front()
                                                : fmt::format("the gradients of {} tensors", names.size());
  const bool one = names.size() == 1 && all != 1;
  if (std::abs(c - 1) <= 1e-3) {
    return fmt::format("{} {} with {} of {} to a thousandth: rounding, as another kernel gives", which,
                       one ? "agrees" : "agree", one ? "that" : "those", a.label);
  }
  return fmt::format("{} {} {} times {} of {}{}", which, one ? "is" : "are", factor(c), one ? "that" : "those", a.label,
                     std::abs(c + 1) <= 1e-3 ? ": the direction of the update was reversed" : "");
}

// Of the tensor at `label` in the lane weights_out: its digest, where the record tells.
std::optional<Digest> weight_digest(const StepRecord& record, const Layout& layout, Lane lane,
                                    const std::string& label) {
  for (const auto& entry : compare_detail::entries(record.of(lane), layout.of(lane))) {
    if (entry.column->name == label) return entry.digest;
  }
  return std::nullopt;
}

// True where the side's tensor at this step's forward is not what its own last update left.
std::optional<bool> edited(const RunSide& side, const StepRecord& record, const std::string& label) {
  if (record.step == 0 || !has(side.steps, record.step - 1)) return std::nullopt;
  const StepRecord before = side.steps.record(record.step - 1);
  const auto left = weight_digest(before, side.steps.layout(before.step), Lane::weights_out, label);
  const auto found = weight_digest(record, side.steps.layout(record.step), Lane::weights_in, label);
  if (!left || !found) return std::nullopt;
  return *left != *found;
}

struct Distance {
  double estimate = 0;
  double norm = 0;
  std::string most;  // the tensor with the largest share
};

std::optional<Distance> distance_at(const Scene& scene, std::uint64_t step, Lane lane) {
  const StepRecord a = scene.a.steps.record(step);
  const StepRecord b = scene.b.steps.record(step);
  double squares = 0;
  double norms = 0;
  double largest = 0;
  Distance result;
  for (const Pair& pair : summaries(a, scene.a.steps.layout(step), b, scene.b.steps.layout(step), lane)) {
    const double d = estimated_distance(pair.a->sketch, pair.b->sketch);
    squares += d * d;
    norms += pair.a->statistics.norm * pair.a->statistics.norm;
    if (d > largest) {
      largest = d;
      result.most = pair.name;
    }
  }
  if (!(norms > 0) || !(squares > 0)) return std::nullopt;  // no sketches, or the difference has not reached them
  result.estimate = std::sqrt(squares);
  result.norm = std::sqrt(norms);
  return result;
}

std::string distance_sentence(std::uint64_t step, const Distance& distance) {
  return fmt::format(
      "weights after step {}: about {:.2g} apart, {:.2g} of their norm{}{} (from sketches; its square is "
      "known to 50%)",
      step, distance.estimate, distance.estimate / distance.norm, distance.most.empty() ? "" : ", most in ",
      distance.most);
}

// The first step at or after `step` whose summaries are due on both sides; the schedule depends on the number alone.
std::optional<std::uint64_t> next_summary(std::uint64_t step, std::uint64_t end) {
  for (; step < end; ++step) {
    if (summaries_due(step)) return step;
  }
  return std::nullopt;
}

std::uint64_t common_end(const Scene& scene) {
  return std::min(scene.a.steps.end_step(), scene.b.steps.end_step());
}

// Steps after `step` that may hold detail: the next few, then the next multiple of every usual period.
std::set<std::uint64_t> detail_candidates(std::uint64_t step, std::uint64_t end) {
  std::set<std::uint64_t> steps;
  for (std::uint64_t next = step + 1; next <= step + 8; ++next) steps.insert(next);
  for (std::uint64_t period = 1; period <= 65536; period *= 2) {
    for (std::uint64_t factor_of : {1, 3, 5}) steps.insert((step / (period * factor_of) + 1) * period * factor_of);
  }
  for (std::uint64_t period = 10; period <= 100000; period *= 10) {
    for (std::uint64_t factor_of : {1, 2, 5}) steps.insert((step / (period * factor_of) + 1) * period * factor_of);
  }
  steps.erase(steps.lower_bound(end), steps.end());
  return steps;
}

bool detailed(const StepRecord& record, Lane lane) {
  return !record.of(lane).digests.empty();
}

std::string duration(double seconds) {
  if (seconds < 120) return fmt::format("{:.1f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.1f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

std::string spent(const RunSide& side, std::uint64_t step) {
  const std::uint64_t end = side.steps.end_step();
  if (end - step < 2) return "";  // a replay that stopped there
  const StepTiming began = side.steps.record(step).timing;
  const StepTiming ended = side.steps.record(end - 1).timing;
  const double seconds = static_cast<double>(ended.began_ns - began.began_ns + ended.duration_ns) / 1e9;
  std::string text = fmt::format("{} did {} steps from there on", side.label, end - step);
  if (!(seconds > 0)) return text;
  const double hours = seconds / 3600 * std::max(1U, ended.world_size);
  return text + fmt::format(" in {}: {:.2g} device-hours", duration(seconds), hours);
}

}  // namespace

std::string gradient_scale(const Scene& scene) {
  if (scene.difference.lane != Lane::gradients || scene.difference.structural) return "";
  const std::uint64_t step = scene.difference.step;
  const auto pairs = summaries(scene.record_a, scene.a.steps.layout(step), scene.record_b, scene.b.steps.layout(step),
                               Lane::gradients);
  std::vector<std::string> names;
  std::optional<double> common;
  for (const Pair& pair : pairs) {
    if (pair.a->sketch == pair.b->sketch && pair.a->statistics == pair.b->statistics) continue;
    const auto c = proportion(*pair.a, *pair.b);
    if (!c || (common && std::abs(*c - *common) > 2e-3 * std::abs(*common))) return "";
    common = c;
    names.push_back(pair.name);
  }
  return common ? scale_sentence(names, pairs.size(), *common, scene.a) : "";
}

std::string edited_side(const Scene& scene) {
  if (scene.difference.lane != Lane::weights_in || scene.difference.tensor.empty()) return "";
  const auto a = edited(scene.a, scene.record_a, scene.difference.tensor);
  const auto b = edited(scene.b, scene.record_b, scene.difference.tensor);
  if (!a || !b || *a == *b) return "";
  return fmt::format("{} changed in {} between the update of step {} and this step's forward pass; in {} it did not",
                     scene.difference.tensor, (*a ? scene.a : scene.b).label, scene.difference.step - 1,
                     (*a ? scene.b : scene.a).label);
}

std::string replayed_earlier(const Scene& scene) {
  const Lane lane = scene.difference.lane;
  if (lane != Lane::batch && lane != Lane::rng) return "";
  const Digest wanted = scene.record_b.of(lane).digest;
  const std::uint64_t step = scene.difference.step;
  std::set<std::uint64_t> candidates{0, step + 1};
  if (step > 0) candidates.insert(step - 1);
  for (std::uint64_t other : candidates) {
    if (other == step || !has(scene.a.steps, other)) continue;
    if (scene.a.steps.record(other).of(lane).digest != wanted) continue;
    const std::string_view why = other != 0          ? "they are shifted by one"
                                 : lane == Lane::rng ? "it was seeded again"
                                                     : "the order of the data started over";
    return fmt::format("{} of {} at step {} equals that of {} at step {}: {}", name(lane), scene.b.label, step,
                       scene.a.label, other, why);
  }
  return "";
}

std::string losses(const Scene& scene) {
  const auto& a = scene.record_a.of(Lane::loss).values;
  const auto& b = scene.record_b.of(Lane::loss).values;
  if (a.empty() || b.empty()) return "";
  const bool equal = scene.record_a.of(Lane::loss).digest == scene.record_b.of(Lane::loss).digest;
  if (equal) return fmt::format("the loss of this step is equal on both sides ({}): it does not show yet", a.front());
  const auto other = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (other.first == a.end() || other.second == b.end()) return fmt::format("{} losses against {}", a.size(), b.size());
  return fmt::format("loss {} against {} (difference {:.2g})", *other.first, *other.second,
                     *other.second - *other.first);
}

std::vector<std::string> distances(const Scene& scene) {
  std::vector<std::string> sentences;
  const std::uint64_t end = common_end(scene);
  const auto first = next_summary(scene.difference.step, end);
  if (!first) return sentences;
  if (const auto distance = distance_at(scene, *first, Lane::weights_out)) {
    sentences.push_back(distance_sentence(*first, *distance));
  }
  const std::uint64_t last = (end - 1) / summary_period * summary_period;
  if (last <= *first) return sentences;
  if (const auto distance = distance_at(scene, last, Lane::weights_out)) {
    sentences.push_back(distance_sentence(last, *distance));
  }
  return sentences;
}

std::string nearest_detail(const Scene& scene) {
  const Difference& difference = scene.difference;
  if (!difference.tensor.empty() || is_list(difference.lane)) return "";
  for (std::uint64_t step : detail_candidates(difference.step, common_end(scene))) {
    const StepRecord a = scene.a.steps.record(step);
    const StepRecord b = scene.b.steps.record(step);
    if (!detailed(a, difference.lane) || !detailed(b, difference.lane)) continue;
    const auto later = compare(a, scene.a.steps.layout(step), b, scene.b.steps.layout(step));
    if (!later) return "";
    return fmt::format("step {} is the nearest later one with digests of single tensors: there {} parts at {} ({})",
                       step, name(later->lane), later->tensor, later->detail);
  }
  return "digests of single tensors were thinned at this step, and no later step of both has them";
}

std::string cost(const Scene& scene) {
  const std::string a = spent(scene.a, scene.difference.step);
  const std::string b = spent(scene.b, scene.difference.step);
  return a.empty() || b.empty() ? a + b : a + ", " + b;
}

std::string renames(const Layout& a, const Layout& b) {
  std::set<std::string> seen;
  for (Lane lane : {Lane::weights_in, Lane::gradients, Lane::weights_out}) {
    if (a.of(lane).size() != b.of(lane).size()) continue;
    for (std::size_t i = 0; i < a.of(lane).size(); ++i) {
      const Column& x = a.of(lane)[i];
      const Column& y = b.of(lane)[i];
      if (x.name != y.name && x.dtype == y.dtype && x.shape == y.shape) seen.insert(x.name + " is " + y.name);
    }
  }
  if (seen.empty()) return "";
  std::string text = "names only: ";
  std::size_t listed = 0;
  for (const std::string& pair : seen) {
    if (listed++ == 10) return text + fmt::format(", and {} more", seen.size() - 10);
    text += (listed == 1 ? "" : ", ") + pair;
  }
  return text;
}

}  // namespace samestep::evidence

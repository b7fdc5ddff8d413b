#include "replay/recorder/observations.h"

#include <algorithm>

namespace samestep {

namespace {

constexpr std::size_t none = ~std::size_t{0};
constexpr double times_slower = 10;
// Shorter than this a step is no one's loss, and a busy machine makes many such.
constexpr double least_seconds = 0.05;

std::vector<std::string> names_of(const std::vector<Column>& columns) {
  std::vector<std::string> names;
  for (const Column& column : columns) names.push_back(column.name);
  return names;
}

}  // namespace

void Continuity::begin(const Layout& layout) {
  std::map<std::string, Digest> known;
  for (std::size_t i = 0; i < names_out_.size(); ++i)
    if (last_[i]) known[names_out_[i]] = *last_[i];
  names_in_ = names_of(layout.of(Lane::weights_in));
  names_out_ = names_of(layout.of(Lane::weights_out));
  std::map<std::string, std::size_t> places;
  last_.assign(names_out_.size(), std::nullopt);
  for (std::size_t i = 0; i < names_out_.size(); ++i) {
    places[names_out_[i]] = i;
    if (const auto found = known.find(names_out_[i]); found != known.end()) last_[i] = found->second;
  }
  out_of_in_.clear();
  for (const std::string& name : names_in_) {
    const auto found = places.find(name);
    out_of_in_.push_back(found == places.end() ? none : found->second);
  }
}

void Continuity::forget() {
  last_.assign(last_.size(), std::nullopt);
}

std::vector<std::string> Continuity::observe(const StepRecord& record) {
  const LaneRecord& in = record.of(Lane::weights_in);
  std::vector<std::string> changed;
  if (in.status == LaneStatus::captured) {
    for (std::size_t i = 0; i < in.digests.size(); ++i) {
      const std::size_t out = out_of_in_[i];
      if (in.presence[i] != Presence::present || out == none || !last_[out]) continue;
      if (*last_[out] != in.digests[i]) changed.push_back(names_in_[i]);
    }
  }
  remember(record.of(Lane::weights_out));
  return changed;
}

void Continuity::remember(const LaneRecord& out) {
  if (out.status != LaneStatus::captured) return;
  for (std::size_t i = 0; i < out.digests.size(); ++i)
    if (out.presence[i] == Presence::present) last_[i] = out.digests[i];
}

std::optional<Pace::Finding> Pace::observe(const StepTiming& timing, std::int64_t received_ns) {
  // Waiting for us and cutting anchors is not the program's pace.
  const double seconds =
      static_cast<double>(std::max<std::int64_t>(0, timing.duration_ns - timing.waited_ns - timing.capture_ns)) * 1e-9;
  std::optional<Finding> finding;
  if (seconds_.size() >= window / 2) {
    std::vector<double> sorted(seconds_.begin(), seconds_.end());
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    const double before = static_cast<double>(timing.began_ns - last_received_ns_) * 1e-9;
    if (seconds > least_seconds && seconds > times_slower * *middle)
      finding = Finding{before > seconds / 2, seconds, *middle};
  }
  last_received_ns_ = received_ns;
  seconds_.push_back(seconds);
  if (seconds_.size() > window) seconds_.pop_front();
  return finding;
}

std::optional<std::array<Repeats::Pair, 2>> Repeats::observe(const StepRecord& record) {
  const LaneRecord& batch = record.of(Lane::batch);
  if (told_ || batch.status != LaneStatus::captured || batch.items.empty()) return std::nullopt;
  const auto [last, first] = last_.try_emplace(record.optimizer, Seen{record.step, batch.digest});
  if (first) return std::nullopt;
  if (last->second.batch != batch.digest)
    others_differ_ = true;
  else if (pairs_.size() < 2)
    pairs_.push_back({last->second.step, record.step});
  last->second = {record.step, batch.digest};
  told_ = others_differ_ && pairs_.size() == 2;
  if (!told_) return std::nullopt;
  return std::array{pairs_[0], pairs_[1]};
}

}  // namespace samestep

// Two records of one step: the first lane that differs, and which of its entries.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "replay/compare/entries.h"
#include "replay/compare/verdict.h"

namespace samestep {
namespace {

using compare_detail::Entry;

constexpr std::size_t max_listed = 1000;

bool off_schedule(Lane lane, std::uint64_t step, const LaneRecord& record) {
  return record.status == LaneStatus::absent && record.reason == AbsentReason::off_schedule && !in_root(lane, step);
}

// Named state is told apart by name: a program that keeps one value more has changed nothing of its training. True
// where every value that both keep is equal, and one side keeps others besides.
bool keep_other_names(const LaneRecord& a, const Layout& layout_a, const LaneRecord& b, const Layout& layout_b) {
  const std::vector<Entry> x = compare_detail::entries(a, layout_a.of(Lane::state));
  const std::vector<Entry> y = compare_detail::entries(b, layout_b.of(Lane::state));
  std::size_t common = 0;
  for (const Entry& entry : x) {
    const auto other = std::ranges::find(y, entry.column->name, [](const Entry& e) { return e.column->name; });
    if (other == y.end()) continue;
    if (entry.presence != other->presence || entry.digest != other->digest) return false;
    ++common;
  }
  return common < std::max(x.size(), y.size());
}

// Read, and there was nothing to keep.
bool holds_nothing(const LaneRecord& record, const Layout& layout, Lane lane) {
  return record.status == LaneStatus::captured && compare_detail::entries(record, layout.of(lane)).empty();
}

// The count that this step's pair of records adds to.
std::uint64_t LaneTally::*counted_as(Lane lane, const StepRecord& record_a, const Layout& layout_a,
                                     const StepRecord& record_b, const Layout& layout_b) {
  const LaneRecord& a = record_a.of(lane);
  const LaneRecord& b = record_b.of(lane);
  const std::uint64_t step = record_a.step;
  const bool absent_a = a.status == LaneStatus::absent;
  const bool absent_b = b.status == LaneStatus::absent;
  if ((absent_a && absent_b) || off_schedule(lane, step, a) || off_schedule(lane, step, b)) return &LaneTally::absent;
  if (absent_a || absent_b) return &LaneTally::one_sided;
  if (a.status == LaneStatus::given || b.status == LaneStatus::given) return &LaneTally::given;
  if (lane == Lane::state && holds_nothing(a, layout_a, lane) && holds_nothing(b, layout_b, lane))
    return &LaneTally::absent;
  if (a.digest == b.digest) return &LaneTally::equal;
  if (lane == Lane::state && keep_other_names(a, layout_a, b, layout_b)) return &LaneTally::one_sided;
  return &LaneTally::differs;
}

void tally(LaneTally& lane, std::uint64_t LaneTally::*count, const LaneRecord& b) {
  ++(lane.*count);
  if (count == &LaneTally::one_sided && b.status == LaneStatus::absent) ++lane.first_has;
}

void list_tensor(Difference& difference, std::string label) {
  if (difference.tensor.empty()) difference.tensor = label;
  if (difference.tensors.size() < max_listed) difference.tensors.push_back(std::move(label));
}

std::string both_names(const Column& a, const Column& b) {
  return a.name == b.name ? a.name : fmt::format("{} ({} in the other)", a.name, b.name);
}

// The first place where two lists of entries do not have one structure; nullopt where they do.
std::optional<std::string> structure_mismatch(Difference& difference, const std::vector<Entry>& a,
                                              const std::vector<Entry>& b) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const Column& x = *a[i].column;
    const Column& y = *b[i].column;
    if (x.dtype == y.dtype && x.shape == y.shape) continue;
    list_tensor(difference, both_names(x, y));
    return fmt::format("{} is {} against {}", both_names(x, y), compare_detail::describe(x),
                       compare_detail::describe(y));
  }
  if (a.size() == b.size()) return std::nullopt;
  list_tensor(difference, (a.size() > b.size() ? a[b.size()] : b[a.size()]).column->name);
  return fmt::format("{} entries against {}; {} is in one only", a.size(), b.size(), difference.tensor);
}

bool differ(const Entry& a, const Entry& b) {
  if (a.presence != b.presence) return true;
  return a.digest && b.digest && *a.digest != *b.digest;
}

void compare_tensors(Difference& difference, const std::vector<Entry>& a, const std::vector<Entry>& b) {
  std::string undefined;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!differ(a[i], b[i])) continue;
    list_tensor(difference, both_names(*a[i].column, *b[i].column));
    if (a[i].presence != b[i].presence && undefined.empty()) {
      undefined = fmt::format("; {} is undefined in one only", a[i].column->name);
    }
  }
  const bool thinned = std::any_of(a.begin(), a.end(), [](const Entry& e) { return !e.digest; }) ||
                       std::any_of(b.begin(), b.end(), [](const Entry& e) { return !e.digest; });
  if (difference.tensors.empty() && thinned) {
    difference.detail = fmt::format("one or more of {} tensors; their digests were thinned at this step", a.size());
  } else {
    const std::size_t count = difference.tensors.size();
    const std::string_view verb = count == 1 ? "s" : "";
    const std::string_view bound = count == max_listed ? "at least " : "";
    difference.detail = fmt::format("{}{} of {} tensors differ{}{}", bound, count, a.size(), verb, undefined);
  }
}

// Names enter hyper's digest, so entries are matched by name.
void compare_values(Difference& difference, const std::vector<Entry>& a, const std::vector<Entry>& b) {
  const auto find = [](const std::vector<Entry>& entries, const std::string& name) {
    return std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.column->name == name; });
  };
  const auto add = [&](const std::string& label, const std::string& text) {
    if (!difference.detail.empty()) difference.detail += ", ";
    if (difference.tensors.size() < 8) difference.detail += text;
    list_tensor(difference, label);
  };
  for (const Entry& entry : a) {
    const auto other = find(b, entry.column->name);
    if (other == b.end()) {
      add(entry.column->name, fmt::format("{} is in the first only", entry.column->name));
    } else if (std::bit_cast<std::uint64_t>(entry.value) != std::bit_cast<std::uint64_t>(other->value)) {
      add(entry.column->name, fmt::format("{} is {} against {}", entry.column->name, entry.value, other->value));
    }
  }
  for (const Entry& entry : b) {
    if (find(a, entry.column->name) == a.end()) {
      add(entry.column->name, fmt::format("{} is in the second only", entry.column->name));
    }
  }
  if (difference.detail.empty()) difference.detail = "the same options in another order";
}

void compare_named(Difference& difference, const LaneRecord& a, const Layout& layout_a, const LaneRecord& b,
                   const Layout& layout_b) {
  const std::vector<Entry> x = compare_detail::entries(a, layout_a.of(difference.lane));
  const std::vector<Entry> y = compare_detail::entries(b, layout_b.of(difference.lane));
  if (difference.lane == Lane::hyper) return compare_values(difference, x, y);
  if (const auto mismatch = structure_mismatch(difference, x, y)) {
    difference.structural = true;
    difference.detail = *mismatch;
    return;
  }
  compare_tensors(difference, x, y);
}

bool permuted(const std::vector<ListItem>& a, const std::vector<ListItem>& b) {
  return a.size() == b.size() && std::is_permutation(a.begin(), a.end(), b.begin());
}

std::string describe(const ListItem& item) {
  return compare_detail::describe(item.dtype, item.shape);
}

std::string list_detail(const Difference& difference, const LaneRecord& a, const LaneRecord& b, std::size_t first) {
  if (permuted(a.items, b.items)) return fmt::format("the same {} tensors in another order", a.items.size());
  if (first >= std::min(a.items.size(), b.items.size())) {
    return fmt::format("{} items against {}", a.items.size(), b.items.size());
  }
  const ListItem& x = a.items[first];
  const ListItem& y = b.items[first];
  if (x.dtype != y.dtype || x.shape != y.shape) {
    return fmt::format("item {} is {} against {}", difference.tensor, describe(x), describe(y));
  }
  return fmt::format("{} of {} items differ, the first is {}", difference.tensors.size(), a.items.size(), describe(x));
}

void compare_lists(Difference& difference, const LaneRecord& a, const LaneRecord& b) {
  if (a.items.empty() && b.items.empty()) {
    difference.detail = "the items' digests were thinned at this step";
    return;
  }
  std::size_t first = std::max(a.items.size(), b.items.size());
  for (std::size_t i = 0; i < std::max(a.items.size(), b.items.size()); ++i) {
    if (i < a.items.size() && i < b.items.size() && a.items[i] == b.items[i]) continue;
    first = std::min(first, i);
    list_tensor(difference, fmt::format("#{}", i));
  }
  difference.detail = list_detail(difference, a, b, first);
}

// Optimizers of another class, or another optimizer's turn: whatever lane shows it first, the structure differs.
void compare_optimizers(Difference& difference, const StepRecord& a, const Layout& layout_a, const StepRecord& b,
                        const Layout& layout_b) {
  const auto of = [](const StepRecord& record, const Layout& layout) {
    return record.optimizer < layout.optimizers.size() ? layout.optimizers[record.optimizer] : std::string("?");
  };
  const std::string x = of(a, layout_a);
  const std::string y = of(b, layout_b);
  if (x == y && a.optimizer == b.optimizer) return;
  difference.structural = true;
  difference.detail += fmt::format("; optimizer #{} ({}) against #{} ({})", a.optimizer, x, b.optimizer, y);
}

// Equal lanes, but another optimizer made the update, or only one side made it.
std::optional<Difference> compare_updates(const StepRecord& a, const StepRecord& b) {
  if (a.skipped == b.skipped && a.optimizer == b.optimizer) return std::nullopt;
  Difference difference;
  difference.step = a.step;
  difference.lane = Lane::optimizer;
  difference.structural = true;
  difference.detail = a.skipped != b.skipped
                          ? std::string("the update was skipped on one side only")
                          : fmt::format("optimizer #{} made the update, against #{}", a.optimizer, b.optimizer);
  return difference;
}

}  // namespace

std::optional<Difference> compare(const StepRecord& a, const Layout& layout_a, const StepRecord& b,
                                  const Layout& layout_b, LaneTallies* lanes) {
  std::optional<Difference> first;
  for (Lane lane : all_lanes) {
    const auto count = counted_as(lane, a, layout_a, b, layout_b);
    if (lanes != nullptr) tally((*lanes)[static_cast<std::size_t>(lane)], count, b.of(lane));
    if (count != &LaneTally::differs || first) continue;
    first.emplace();
    first->step = a.step;
    first->lane = lane;
    if (is_list(lane)) {
      compare_lists(*first, a.of(lane), b.of(lane));
    } else {
      compare_named(*first, a.of(lane), layout_a, b.of(lane), layout_b);
    }
    compare_optimizers(*first, a, layout_a, b, layout_b);
  }
  return first ? first : compare_updates(a, b);
}

}  // namespace samestep

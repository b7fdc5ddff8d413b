#include "replay/capture/entries.h"

namespace samestep::capture {
namespace {

Column column_of(std::string name, const StateItem& item, const at::Tensor& parameter) {
  using Kind = StateItem::Kind;
  switch (item.kind) {
    case Kind::integer:
      return {std::move(name), DType::i64, Shape{}};
    case Kind::real:
      return {std::move(name), DType::f64, Shape{}};
    case Kind::list:
      return {std::move(name), dtype_of(parameter), std::nullopt};
    case Kind::like_parameter:
      break;
  }
  const auto& shown = item.tensors.empty() ? parameter : item.tensors.front();
  return {std::move(name), dtype_of(shown), shape_of(shown)};
}

}  // namespace

std::string optimizer_column(std::size_t number, const std::string& parameter, const std::string& key) {
  return std::to_string(number) + "/" + parameter + "/" + key;
}

std::vector<Entry> optimizer_entries(const Optimizers& optimizers, const Parameters& parameters) {
  std::vector<Entry> entries;
  for (std::size_t number = 0; number < optimizers.size(); ++number) {
    if (!optimizers[number]->known()) continue;
    for (auto& item : optimizers[number]->state()) {
      const auto& parameter = optimizers[number]->parameters(item.group)[item.position];
      const auto& slot = parameters.slots().at(parameters.find(parameter));
      auto column = column_of(optimizer_column(number, slot.name, item.key), item, parameter);
      entries.push_back({std::move(column), std::move(item.tensors), number});
    }
  }
  return entries;
}

std::vector<Entry> kept_entries(const std::vector<Kept>& kept) {
  std::vector<Entry> entries;
  for (const auto& value : kept) entries.push_back({{value.name, DType::u8, std::nullopt}, value.get()});
  return entries;
}

void append_named(std::vector<NamedTensor>& named, const std::string& lane, const Entry& entry) {
  const auto name = lane + "/" + entry.column.name;
  for (std::size_t i = 0; i < entry.tensors.size(); ++i) {
    named.push_back({entry.list() ? name + "/" + std::to_string(i) : name, entry.tensors[i]});
  }
}

std::vector<Column> columns_of(const std::vector<Entry>& entries) {
  std::vector<Column> columns;
  for (const auto& entry : entries) columns.push_back(entry.column);
  return columns;
}

void LaneBuilder::entry(const Entry& entry) {
  if (entry.list()) {
    list(entry.tensors);
  } else if (entry.tensors.empty()) {
    undefined();
  } else {
    tensor(entry.tensors.front());
  }
}

void LaneBuilder::put(Presence presence, const std::vector<at::Tensor>& tensors, bool list) {
  Place place{presence, list, {}};
  for (const auto& tensor : tensors) place.places.push_back(reading_.add(tensor, summarize_ && !list));
  places_.push_back(std::move(place));
}

Digest LaneBuilder::digest_of(const Place& place) const {
  if (place.presence != Presence::present) return {};
  if (!place.list) return reading_.digest(place.places.front());
  std::vector<ListItem> items;
  for (const auto i : place.places) items.push_back(reading_.item(i));
  return list_digest(items);
}

LaneRecord LaneBuilder::record() const {
  LaneRecord record;
  record.status = LaneStatus::captured;
  for (const auto& place : places_) {
    record.presence.push_back(place.presence);
    record.digests.push_back(digest_of(place));
    if (!summarize_) continue;
    const bool one = place.presence == Presence::present && !place.list;
    record.summaries.push_back(one ? reading_.summary(place.places.front()) : Summary{});
  }
  return record;
}

void mask(LaneRecord& lane, const std::vector<bool>& covered) {
  for (std::size_t i = 0; i < lane.presence.size(); ++i) {
    if (covered[i]) continue;
    lane.presence[i] = Presence::absent;
    lane.digests[i] = {};
    if (!lane.summaries.empty()) lane.summaries[i] = {};
  }
}

void seal(Lane lane, LaneRecord& record, const std::vector<Column>& columns) {
  record.digest = lane_digest(lane, record, columns);
}

LaneRecord absent_lane(AbsentReason reason) {
  LaneRecord record;
  record.reason = reason;
  return record;
}

}  // namespace samestep::capture

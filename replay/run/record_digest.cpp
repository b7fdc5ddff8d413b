// Tensor -> lane -> root -> chain. Each preimage begins with a domain string, so that no digest of one kind can be
// passed off as one of another; docs/format.md gives every byte.
#include "replay/run/bytes.h"
#include "replay/run/record.h"

namespace samestep {
namespace {

using namespace std::string_view_literals;
constexpr auto lane_domain = "samestep lane 1\0"sv;
constexpr auto list_domain = "samestep list 1\0"sv;
constexpr auto root_domain = "samestep root 1\0"sv;
constexpr std::uint8_t varying_shape = 255;

Digest digest_of(const ByteWriter& preimage) {
  return digest(std::span<const std::byte>(preimage.bytes()));
}

void put_shape(ByteWriter& out, const Shape& shape) {
  out.u8(static_cast<std::uint8_t>(shape.size()));
  for (const std::int64_t size : shape) out.i64(size);
}

void put_items(ByteWriter& out, std::span<const ListItem> items) {
  out.u64(items.size());
  for (const ListItem& item : items) {
    out.u8(static_cast<std::uint8_t>(item.dtype));
    put_shape(out, item.shape);
    out.digest(item.digest);
  }
}

// A hyper-parameter: its name is what it is, so here the name counts.
void put_value(ByteWriter& out, const Column& column, double value) {
  out.u32(static_cast<std::uint32_t>(column.name.size())).text(column.name).f64(value);
}

void put_tensor(ByteWriter& out, const Column& column, const Digest& tensor) {
  if (column.shape) {
    put_shape(out, *column.shape);
  } else {
    out.u8(varying_shape);
  }
  out.digest(tensor);
}

void put_entries(ByteWriter& out, Lane lane, const LaneRecord& record, std::span<const Column> columns) {
  std::uint64_t count = 0;
  for (const Presence presence : record.presence) count += presence != Presence::absent ? 1 : 0;
  out.u64(count);
  for (std::size_t i = 0; i < record.presence.size(); ++i) {
    if (record.presence[i] == Presence::absent) continue;
    const bool defined = record.presence[i] == Presence::present;
    out.u8(static_cast<std::uint8_t>(record.presence[i])).u8(static_cast<std::uint8_t>(columns[i].dtype));
    if (lane == Lane::hyper) {
      put_value(out, columns[i], defined ? record.values[i] : 0.0);
    } else {
      put_tensor(out, columns[i], defined ? record.digests[i] : Digest{});
    }
  }
}

}  // namespace

Digest list_digest(std::span<const ListItem> items) {
  ByteWriter out;
  out.text(list_domain);
  put_items(out, items);
  return digest_of(out);
}

Digest lane_digest(Lane lane, const LaneRecord& record, std::span<const Column> columns) {
  ByteWriter out;
  out.reserve(32 + 64 * (record.presence.size() + record.items.size()));
  out.text(lane_domain).u8(static_cast<std::uint8_t>(lane));
  if (is_list(lane)) {
    put_items(out, record.items);
  } else {
    put_entries(out, lane, record, columns);
  }
  return digest_of(out);
}

Digest root_digest(const StepRecord& record) {
  ByteWriter out;
  out.text(root_domain).u64(record.step).u32(record.optimizer).u8(record.skipped ? 1 : 0);
  for (const Lane lane : all_lanes) {
    if (!in_root(lane, record.step)) continue;
    const LaneRecord& entry = record.of(lane);
    const bool present = entry.status != LaneStatus::absent;
    out.u8(static_cast<std::uint8_t>(lane)).u8(present ? 1 : 0).digest(present ? entry.digest : Digest{});
  }
  return digest_of(out);
}

Digest chain_digest(const Digest& previous, const Digest& root) {
  ByteWriter out;
  return digest_of(out.digest(previous).digest(root));
}

Digest log_chain_digest(const Digest& previous, const StepRecord& record) {
  const std::vector<std::byte> encoded = encode(record);
  return Hasher().update(previous.bytes.data(), previous.bytes.size()).update(encoded.data(), encoded.size()).finish();
}

}  // namespace samestep

#include "replay/checkpoint/anchor.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <sstream>

#include "kernels/summary.h"
#include "replay/checkpoint/element_text.h"
#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/strict_json.h"

namespace samestep {
namespace {

constexpr const char* metadata_key = "samestep";
constexpr std::string_view resume_prefix = "resume/";
constexpr std::string_view reached_prefix = "reached/";
constexpr std::size_t named_at_most = 8;  // disagreements in one message

// A lane of the anchor, and where the log keeps the digests of the same tensors.
struct Vouched {
  Lane lane;
  const std::vector<Digest>& digests;
  const std::vector<Presence>* presence;  // nullptr: every column is there
  const std::vector<Summary>* summaries;  // nullptr: none
};

std::vector<Vouched> vouched_lanes(const StepRecord& record) {
  std::vector<Vouched> lanes{{Lane::rng, record.rng_out, nullptr, nullptr}};
  for (const Lane lane : {Lane::optimizer, Lane::weights_out, Lane::state}) {
    const LaneRecord& entry = record.of(lane);
    lanes.push_back({lane, entry.digests, &entry.presence, &entry.summaries});
  }
  return lanes;
}

std::string label(Lane lane, const Column& column) {
  return std::string(name(lane)) + "/" + column.name;
}

std::string text_of(DType dtype, const Shape& shape) {
  std::string text = std::string(name(dtype)) + " [";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

// --- One tensor -------------------------------------------------------------------------------------------------

std::vector<std::int64_t> index_of(std::uint64_t element, const Shape& shape) {
  std::vector<std::int64_t> index(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    const auto size = static_cast<std::uint64_t>(shape[axis]);
    index[axis] = static_cast<std::int64_t>(element % size);
    element /= size;
  }
  return index;
}

// The one element that the syndrome proposes, if putting it back gives the recorded digest.
std::optional<EditedElement> edited_element(const TensorView& tensor, const Digest& recorded,
                                            const Syndrome& syndrome) {
  const std::size_t size = element_size(tensor.dtype);
  const auto edit = propose_edit({tensor.data.data(), tensor.data.size() / size, tensor.dtype}, syndrome);
  if (!edit) return std::nullopt;
  const std::size_t unit_bytes = std::min<std::size_t>(size, 4);  // wider elements count in 32-bit parts
  const std::size_t at = edit->unit * unit_bytes;
  if (at + unit_bytes > tensor.data.size()) return std::nullopt;
  std::vector<std::byte> mended(tensor.data.begin(), tensor.data.end());
  for (std::size_t i = 0; i < unit_bytes; ++i) mended[at + i] = static_cast<std::byte>(edit->expected >> (8 * i));
  if (digest(std::span<const std::byte>(mended)) != recorded) return std::nullopt;
  const std::size_t element = at / size;
  const auto bytes_in = [&](std::span<const std::byte> data) {
    const auto bytes = data.subspan(element * size, size);
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  };
  return EditedElement{index_of(element, tensor.shape), tensor.dtype, bytes_in(tensor.data), bytes_in(mended)};
}

std::optional<AnchorDisagreement> compare_tensor(const TensorView* tensor, const std::string& tensor_label,
                                                 const Column& column, const Digest& recorded,
                                                 const Syndrome* syndrome) {
  if (tensor == nullptr) return AnchorDisagreement{tensor_label, "is missing from the anchor", {}};
  if (tensor->dtype != column.dtype || tensor->shape != *column.shape) {
    return AnchorDisagreement{
        tensor_label,
        "is " + text_of(tensor->dtype, tensor->shape) + ", recorded was " + text_of(column.dtype, *column.shape),
        {}};
  }
  const Digest found = digest(tensor->data);
  if (found == recorded) return std::nullopt;
  if (syndrome != nullptr) {
    if (auto edit = edited_element(*tensor, recorded, *syndrome)) {
      std::ostringstream how;
      how << *edit;
      return AnchorDisagreement{tensor_label, how.str(), std::move(edit)};
    }
  }
  return AnchorDisagreement{tensor_label, "has the digest " + found.hex() + ", recorded was " + recorded.hex(), {}};
}

std::optional<AnchorDisagreement> compare_list(const Safetensors& file, const std::string& list_label,
                                               const Digest& recorded, std::set<std::string>& known) {
  std::vector<ListItem> items;
  for (std::size_t i = 0;; ++i) {
    const std::string item_label = list_label + "/" + std::to_string(i);
    const TensorView* tensor = file.find(item_label);
    if (tensor == nullptr) break;
    known.insert(item_label);
    items.push_back({tensor->dtype, tensor->shape, digest(tensor->data)});
  }
  const Digest found = list_digest(items);
  if (found == recorded) return std::nullopt;
  return AnchorDisagreement{list_label,
                            "its " + std::to_string(items.size()) + " tensors have the digest " + found.hex() +
                                ", recorded was " + recorded.hex(),
                            {}};
}

// --- All of them ------------------------------------------------------------------------------------------------

class Comparison {
 public:
  explicit Comparison(const AnchorFile& anchor) : anchor_(anchor) {}

  void lane(const Vouched& vouched, const std::vector<Column>& columns) {
    for (std::size_t i = 0; i < columns.size(); ++i) column(vouched, columns[i], i);
  }

  // Whatever the table of tensors does not name was put in by someone else.
  void strangers(const Layout& layout) {
    for (const TensorView& tensor : anchor_.tensors.tensors) {
      const bool beside = tensor.name.starts_with(resume_prefix) || tensor.name.starts_with(reached_prefix);
      if (beside || known_.contains(tensor.name) || in_a_list(tensor.name, layout))
        continue;
      add(AnchorDisagreement{tensor.name, "is not in the log's table of tensors", {}});
    }
  }

  AnchorComparison take() { return std::move(result_); }

 private:
  void column(const Vouched& vouched, const Column& column, std::size_t i) {
    const std::string tensor_label = label(vouched.lane, column);
    known_.insert(tensor_label);
    const bool covered =
        vouched.digests.size() > i &&
        (vouched.presence == nullptr || (vouched.presence->size() > i && (*vouched.presence)[i] == Presence::present));
    if (!covered) {
      ++result_.unrecorded;
      return;
    }
    ++result_.compared;
    const bool summarized = vouched.summaries != nullptr && vouched.summaries->size() > i;
    const Syndrome* syndrome = summarized ? &(*vouched.summaries)[i].syndrome : nullptr;
    const Digest& recorded = vouched.digests[i];
    add(column.shape ? compare_tensor(anchor_.tensors.find(tensor_label), tensor_label, column, recorded, syndrome)
                     : compare_list(anchor_.tensors, tensor_label, recorded, known_));
  }

  // Items of a list that this step does not cover: compare_list() has not seen them.
  static bool in_a_list(const std::string& tensor, const Layout& layout) {
    for (const Lane lane : {Lane::rng, Lane::optimizer, Lane::weights_out, Lane::state}) {
      for (const Column& column : layout.of(lane)) {
        if (!column.shape && tensor.starts_with(label(lane, column) + "/")) return true;
      }
    }
    return false;
  }

  void add(std::optional<AnchorDisagreement> disagreement) {
    if (disagreement) result_.disagreements.push_back(std::move(*disagreement));
  }

  const AnchorFile& anchor_;
  std::set<std::string> known_;
  AnchorComparison result_;
};

}  // namespace

AnchorFile parse_anchor(std::span<const std::byte> bytes, const std::string& origin) {
  AnchorFile anchor;
  anchor.tensors = parse_safetensors(bytes, origin);
  const auto about = anchor.tensors.metadata.find(metadata_key);
  if (about == anchor.tensors.metadata.end())
    throw BrokenInput(origin + ": not an anchor: no \"samestep\" in its metadata");
  anchor.about = parse_json(about->second, origin + ", metadata \"samestep\"");
  const std::uint32_t version = json_u32(anchor.about, "format", origin);
  if (version != format::version) {
    throw BrokenInput(origin + ": written in format " + std::to_string(version) + ", this program reads format " +
                      std::to_string(format::version));
  }
  anchor.step = json_unsigned(anchor.about, "step", origin);
  anchor.rank = json_u32(anchor.about, "rank", origin);
  return anchor;
}

AnchorComparison compare_anchor(const AnchorFile& anchor, const StepRecord& record, const Layout& layout) {
  Comparison comparison(anchor);
  for (const Vouched& vouched : vouched_lanes(record)) comparison.lane(vouched, layout.of(vouched.lane));
  comparison.strangers(layout);
  return comparison.take();
}

void check_anchor(std::span<const std::byte> bytes, const std::string& origin, const StepRecord& record,
                  const Layout& layout) {
  const AnchorFile anchor = parse_anchor(bytes, origin);
  if (anchor.step != record.step + 1) {
    throw TamperedInput(origin + ": is the anchor of step " + std::to_string(anchor.step) + ", expected was that of " +
                        std::to_string(record.step + 1));
  }
  const AnchorComparison comparison = compare_anchor(anchor, record, layout);
  if (comparison.disagreements.empty()) return;
  std::ostringstream text;
  text << origin << ": disagrees with the log of step " << record.step << ":";
  const std::size_t count = comparison.disagreements.size();
  for (std::size_t i = 0; i < std::min(count, named_at_most); ++i) text << "\n  " << comparison.disagreements[i];
  if (count > named_at_most) text << "\n  and " << count - named_at_most << " more";
  throw TamperedInput(text.str());
}

std::ostream& operator<<(std::ostream& out, const EditedElement& edit) {
  const auto value = [&](const std::vector<std::byte>& bytes) {
    const std::string text = element_text(edit.dtype, bytes);
    return text.empty() ? element_bits(bytes) : text + " (" + element_bits(bytes) + ")";
  };
  out << "element [";
  for (std::size_t i = 0; i < edit.index.size(); ++i) out << (i == 0 ? "" : ", ") << edit.index[i];
  return out << "] is " << value(edit.found) << ", was " << value(edit.expected);
}

std::ostream& operator<<(std::ostream& out, const AnchorDisagreement& disagreement) {
  return out << disagreement.tensor << ": " << disagreement.how;
}

}  // namespace samestep

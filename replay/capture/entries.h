// What a lane holds at a moment, tensor by tensor, before it is digested: the walk over optimizer state and kept values
// that step records, anchors and dumps share.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <string>
#include <vector>

#include "replay/capture/parameters.h"
#include "replay/capture/tensor_file.h"
#include "replay/capture/tensors.h"
#include "replay/capture/training_program.h"

namespace samestep::capture {

// One column of a named lane with its tensors: one; any number where the column has no fixed shape; none where there is
// nothing there yet.
struct Entry {
  Column column;
  std::vector<at::Tensor> tensors;
  std::size_t optimizer = 0;  // of Lane::optimizer: whose it is

  [[nodiscard]] bool list() const { return !column.shape.has_value(); }
};

// A value the program keeps by name.
struct Kept {
  std::string name;
  std::function<std::vector<at::Tensor>()> get;
  std::function<void(const std::vector<at::Tensor>&)> set;
};

// The column of an item of optimizer `number`: "<number>/<parameter>/<key>".
[[nodiscard]] std::string optimizer_column(std::size_t number, const std::string& parameter, const std::string& key);

// State of every optimizer whose class is known, in the optimizers' order.
[[nodiscard]] std::vector<Entry> optimizer_entries(const Optimizers& optimizers, const Parameters& parameters);
// Calls every `get`. One list column a name.
[[nodiscard]] std::vector<Entry> kept_entries(const std::vector<Kept>& kept);

// "<lane>/<column>", and "<lane>/<column>/<i>" for each tensor of a list column.
void append_named(std::vector<NamedTensor>& named, const std::string& lane, const Entry& entry);
[[nodiscard]] std::vector<Column> columns_of(const std::vector<Entry>& entries);

// Builds one named lane: entries are given in the order of its columns, digested by `reading`, and turned into a record
// once that has run. The lane's own digest is left for later (seal).
class LaneBuilder {
 public:
  LaneBuilder(Reading& reading, bool summarize) : reading_(reading), summarize_(summarize) {}
  void absent() { put(Presence::absent, {}, false); }
  void undefined() { put(Presence::undefined, {}, false); }
  void tensor(const at::Tensor& tensor) { put(Presence::present, {tensor}, false); }
  void list(const std::vector<at::Tensor>& tensors) { put(Presence::present, tensors, true); }
  void entry(const Entry& entry);
  // REQUIRES that the reading has run.
  [[nodiscard]] LaneRecord record() const;

 private:
  struct Place {
    Presence presence;
    bool list;
    std::vector<std::size_t> places;
  };
  void put(Presence presence, const std::vector<at::Tensor>& tensors, bool list);
  [[nodiscard]] Digest digest_of(const Place& place) const;

  Reading& reading_;
  bool summarize_;
  std::vector<Place> places_;
};

// Of a step's record: columns of other optimizers are none of its business.
void mask(LaneRecord& lane, const std::vector<bool>& covered);
// Computes the lane's digest.
void seal(Lane lane, LaneRecord& record, const std::vector<Column>& columns);
[[nodiscard]] LaneRecord absent_lane(AbsentReason reason);

}  // namespace samestep::capture

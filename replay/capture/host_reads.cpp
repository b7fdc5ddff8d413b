#include "replay/capture/host_reads.h"

#include <bit>
#include <deque>
#include <thread>
#include <utility>

#include "replay/run/record.h"

namespace samestep::capture {
namespace {

using c10::DispatchKey;
using c10::DispatchKeySet;
using c10::OperatorHandle;
using torch::jit::Stack;

// The operators' kernels are plain functions, so the sequence is the process's.
struct Sequence {
  bool active = false;
  std::thread::id thread;
  int paused = 0;
  std::vector<std::uint64_t> noted;
  bool lost = false;
  std::deque<std::uint64_t> given;
  std::uint64_t missing = 0;
};

Sequence& sequence() {
  static Sequence one;
  return one;
}

DispatchKeySet below(DispatchKeySet keys) {
  return keys & DispatchKeySet(DispatchKeySet::FULL_AFTER, DispatchKey::BackendSelect);
}

void note_number(const OperatorHandle& op, DispatchKeySet keys, Stack* stack) {
  op.redispatchBoxed(below(keys), stack);
  if (HostReads::counted()) HostReads::note(bits_of(stack->back().toScalar()));
}

void note_truth(const OperatorHandle& op, DispatchKeySet keys, Stack* stack) {
  op.redispatchBoxed(below(keys), stack);
  if (HostReads::counted()) HostReads::note(stack->back().toBool() ? 1 : 0);
}

void note_length(const OperatorHandle& op, DispatchKeySet keys, Stack* stack) {
  const auto results = op.schema().returns().size();
  op.redispatchBoxed(below(keys), stack);
  const auto& first = (*stack)[stack->size() - results];
  if (HostReads::counted()) HostReads::note(static_cast<std::uint64_t>(first.toTensor().size(0)));
}

void unnoted(const OperatorHandle& op, DispatchKeySet keys, Stack* stack) {
  const HostReads::Unread unread;
  op.redispatchBoxed(below(keys), stack);
}

bool exists(const std::string& name) {
  const auto dot = name.find('.');
  const auto base = "aten::" + name.substr(0, dot);
  const auto overload = dot == std::string::npos ? std::string() : name.substr(dot + 1);
  return c10::Dispatcher::singleton().findSchema({base, overload}).has_value();
}

void begin() {
  auto& reads = sequence();
  reads = {};
  reads.active = true;
  reads.thread = std::this_thread::get_id();
}

}  // namespace

const std::vector<std::string>& operators_that_read_inside() {
  static const std::vector<std::string> names{
      "masked_fill.Tensor",       "masked_fill_.Tensor",  "fill.Tensor",   "fill_.Tensor",   "index_fill.int_Tensor",
      "index_fill_.int_Tensor",   "multinomial",          "embedding_bag", "_embedding_bag", "_ctc_loss",
      "repeat_interleave.Tensor", "_pack_padded_sequence"};
  return names;
}

const std::vector<std::string>& operators_of_unknown_length() {
  static const std::vector<std::string> names{"nonzero",    "masked_select",      "_unique2",
                                              "unique_dim", "unique_consecutive", "bincount"};
  return names;
}

HostReads::HostReads()
    : library_(std::make_unique<torch::Library>(torch::Library::IMPL, "aten", DispatchKey::BackendSelect, __FILE__,
                                                __LINE__)) {
  begin();
  library_->impl("_local_scalar_dense", torch::CppFunction::makeFromBoxedFunction<&note_number>());
  library_->impl("equal", torch::CppFunction::makeFromBoxedFunction<&note_truth>());
  for (const auto& name : operators_of_unknown_length()) {
    if (exists(name)) library_->impl(name.c_str(), torch::CppFunction::makeFromBoxedFunction<&note_length>());
  }
  for (const auto& name : operators_that_read_inside()) {
    if (exists(name)) library_->impl(name.c_str(), torch::CppFunction::makeFromBoxedFunction<&unnoted>());
  }
}

HostReads::~HostReads() {
  library_.reset();
  sequence() = {};
}

std::vector<std::uint64_t> HostReads::take(bool* lost) {
  auto& reads = sequence();
  if (lost != nullptr) *lost = reads.lost;
  reads.lost = false;
  return std::exchange(reads.noted, {});
}

void HostReads::note(std::uint64_t bits) {
  auto& reads = sequence();
  if (reads.noted.size() == max_host_reads) {
    reads.lost = true;
  } else {
    reads.noted.push_back(bits);
  }
}

bool HostReads::counted() {
  const auto& reads = sequence();
  return reads.active && reads.paused == 0 && reads.thread == std::this_thread::get_id();
}

void HostReads::pause() {
  auto& reads = sequence();
  if (reads.active && reads.thread == std::this_thread::get_id()) ++reads.paused;
}

void HostReads::resume() {
  auto& reads = sequence();
  if (reads.active && reads.paused > 0 && reads.thread == std::this_thread::get_id()) --reads.paused;
}

void HostReads::give(std::vector<std::uint64_t> numbers) {
  auto& reads = sequence();
  reads.given.assign(numbers.begin(), numbers.end());
  reads.missing = 0;
}

std::uint64_t HostReads::next() {
  auto& reads = sequence();
  if (reads.given.empty()) {
    ++reads.missing;
    return 0;
  }
  const auto number = reads.given.front();
  reads.given.pop_front();
  return number;
}

std::uint64_t HostReads::short_of() {
  return sequence().missing;
}

std::uint64_t HostReads::left() {
  return sequence().given.size();
}

void HostReads::begin_giving() {
  begin();
}

void HostReads::end_giving() {
  sequence() = {};
}

std::uint64_t bits_of(const at::Scalar& value) {
  if (value.isFloatingPoint()) return std::bit_cast<std::uint64_t>(value.toDouble());
  if (value.isComplex()) return std::bit_cast<std::uint64_t>(value.toComplexDouble().real());
  return value.type() == at::kUInt64 ? value.toUInt64() : static_cast<std::uint64_t>(value.toLong());
}

at::Scalar scalar_from(std::uint64_t bits, at::ScalarType type) {
  if (at::isFloatingType(type)) return std::bit_cast<double>(bits);
  if (at::isComplexType(type)) return c10::complex<double>(std::bit_cast<double>(bits), 0.0);
  if (type == at::kBool) return bits != 0;
  if (type == at::kUInt64) return bits;
  return static_cast<std::int64_t>(bits);
}

}  // namespace samestep::capture

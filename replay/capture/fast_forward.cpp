#include "replay/capture/fast_forward.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "replay/capture/answers.h"
#include "replay/capture/drawing.h"
#include "replay/capture/host_reads.h"

namespace samestep::capture {
namespace {

using c10::DispatchKey;
using c10::DispatchKeySet;
using c10::IValue;
using c10::OperatorHandle;
using torch::jit::Stack;
using namespace std::string_view_literals;

// --- What an operator is
// ------------------------------------------------------------------------------------------------

// Read no element of their arguments.
constexpr std::array no_elements{"empty_like"sv,
                                 "zeros_like"sv,
                                 "ones_like"sv,
                                 "full_like"sv,
                                 "rand_like"sv,
                                 "randn_like"sv,
                                 "randint_like"sv,
                                 "new_empty"sv,
                                 "new_zeros"sv,
                                 "new_ones"sv,
                                 "new_full"sv,
                                 "new_empty_strided"sv,
                                 "resize_"sv,
                                 "resize_as_"sv,
                                 "set_"sv,
                                 "_resize_output_"sv,
                                 "is_same_size"sv,
                                 "record_stream"sv,
                                 "_has_same_storage_numel"sv};
// Memory that nobody has written yet, shaped like an argument.
constexpr std::array allocations{"empty_like"sv, "new_empty"sv, "new_empty_strided"sv};
// Write all of their first argument, whatever it held.
constexpr std::array overwriting{"copy_"sv,       "fill_"sv,        "zero_"sv,      "random_"sv,
                                 "normal_"sv,     "uniform_"sv,     "bernoulli_"sv, "cauchy_"sv,
                                 "log_normal_"sv, "exponential_"sv, "geometric_"sv};
// The shape of the result depends on the values of an index.
constexpr std::array by_index{"index"sv,         "index_put"sv,        "index_put_"sv, "_index_put_impl_"sv,
                              "_unsafe_index"sv, "_unsafe_index_put"sv};
// Take what they read for probabilities or rates.
constexpr std::array of_probabilities{"multinomial"sv, "bernoulli"sv,       "poisson"sv,
                                      "binomial"sv,    "_standard_gamma"sv, "_sample_dirichlet"sv};

template <class Names>
bool is_one_of(const Names& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::string_view base_name(const c10::OperatorName& name) {
  std::string_view text = name.name;
  return text.substr(text.find("::") + 2);
}

std::string full_name(const c10::OperatorName& name) {
  std::string text(base_name(name));
  return name.overload_name.empty() ? text : text + "." + name.overload_name;
}

bool takes_tensors(const c10::FunctionSchema& schema) {
  return std::ranges::any_of(schema.arguments(), [](const c10::Argument& argument) {
    return argument.type()->str().find("Tensor") != std::string::npos;
  });
}

bool returns_view(const c10::FunctionSchema& schema) {
  return std::ranges::any_of(schema.returns(), [](const c10::Argument& result) {
    return result.alias_info() != nullptr && !result.alias_info()->isWrite();
  });
}

std::vector<std::size_t> written_arguments(const c10::FunctionSchema& schema) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < schema.arguments().size(); ++i) {
    const auto* alias = schema.arguments()[i].alias_info();
    if (alias != nullptr && alias->isWrite()) places.push_back(i);
  }
  return places;
}

struct Traits {
  explicit Traits(const OperatorHandle& op);

  bool reads_number, reads_truth, unknown_length, reads_inside;
  bool no_data;    // a view, or an allocation
  bool unwritten;  // an allocation that the program means to fill
  bool random, probabilities, overwrites, out_variant, indexed;
  std::optional<std::size_t> dropout;  // the argument that says how much is dropped
  std::vector<std::size_t> written;
};

Traits::Traits(const OperatorHandle& op) {
  const auto& schema = op.schema();
  const auto name = base_name(op.operator_name());
  const auto full = full_name(op.operator_name());
  reads_number = name == "_local_scalar_dense";
  reads_truth = name == "equal";
  unknown_length = is_one_of(operators_of_unknown_length(), std::string(name));
  reads_inside = is_one_of(operators_that_read_inside(), full);
  no_data = returns_view(schema) || is_one_of(no_elements, name);
  unwritten = is_one_of(allocations, name);
  random = op.hasTag(at::Tag::nondeterministic_seeded);
  probabilities = is_one_of(of_probabilities, name);
  overwrites = is_one_of(overwriting, name);
  out_variant =
      std::ranges::any_of(schema.arguments(), [](const c10::Argument& argument) { return argument.is_out(); });
  indexed = is_one_of(by_index, name);
  if (const auto place = schema.argumentIndexWithName("dropout_p")) dropout = static_cast<std::size_t>(*place);
  written = written_arguments(schema);
}

// --- Values on the stack
// ------------------------------------------------------------------------------------------------

template <class Visit>
void each_tensor(const IValue& value, Visit&& visit) {
  if (value.isTensor()) {
    visit(value.toTensor());
  } else if (value.isTensorList()) {
    for (const at::Tensor& tensor : value.toTensorVector()) visit(tensor);
  } else if (value.isList()) {
    for (const IValue& item : value.toListRef()) {
      if (item.isTensor()) visit(item.toTensor());
    }
  }
}

bool any_stale(const StaleMemory& memory, const IValue& value) {
  bool found = false;
  each_tensor(value, [&](const at::Tensor& tensor) { found = found || memory.holds(tensor); });
  return found;
}

thread_local int inside = 0;  // operators that run, and whose own operators are none of the program's

class Inside {
 public:
  Inside() { ++inside; }
  ~Inside() { --inside; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
};

// --- The kernel of one operator
// ------------------------------------------------------------------------------------------------

class Kernel : public c10::OperatorKernel {
 public:
  Kernel(const OperatorHandle& op, std::shared_ptr<StaleMemory> memory) : traits_(op), memory_(std::move(memory)) {}

  void operator()(const OperatorHandle& op, DispatchKeySet keys, Stack* stack) {
    const Call call{op, keys & DispatchKeySet(DispatchKeySet::FULL_AFTER, DispatchKey::BackendSelect), stack,
                    stack->size() - op.schema().arguments().size()};
    if (traits_.unknown_length) return length(call);
    if (inside > 0 || (traits_.no_data && !traits_.unwritten)) return run(call);
    const bool stale = reads_stale(call);
    if (traits_.reads_number || traits_.reads_truth) return number(call, stale);
    if (!stale && traits_.overwrites) return traits_.random ? draw_over(call) : overwrite(call);
    if (!stale) return traits_.reads_inside ? run_unread(call) : run(call);
    if (is_random(call)) return draw(call);
    if (traits_.out_variant || traits_.indexed) return run_for_shape(call, std::nullopt);
    answer(call);
  }

 private:
  struct Call {
    const OperatorHandle& op;
    DispatchKeySet keys;
    Stack* stack;
    std::size_t first;  // place of the first argument
    [[nodiscard]] std::span<const IValue> arguments() const {
      return {stack->data() + first, op.schema().arguments().size()};
    }
    [[nodiscard]] std::span<const IValue> results() const {
      const auto count = op.schema().returns().size();
      return {stack->data() + stack->size() - count, count};
    }
  };

  static void run(const Call& call) { call.op.redispatchBoxed(call.keys, call.stack); }
  static void run_unread(const Call& call) {
    const HostReads::Unread unread;
    run(call);
  }

  // What an overwritten argument held before does not count.
  [[nodiscard]] bool reads_stale(const Call& call) const {
    const auto arguments = call.arguments();
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      if (i == 0 && traits_.overwrites) continue;
      if (any_stale(*memory_, arguments[i])) return true;
    }
    return false;
  }

  [[nodiscard]] bool is_random(const Call& call) const {
    if (!traits_.random) return false;
    return !traits_.dropout || call.arguments()[*traits_.dropout].toDouble() != 0.0;
  }

  void number(const Call& call, bool stale) const {
    const bool counted = HostReads::counted();
    const auto given = counted ? HostReads::next() : 0;
    if (!stale) return run(call);
    IValue answer = traits_.reads_truth ? IValue(given != 0)
                                        : IValue(scalar_from(given, call.arguments()[0].toTensor().scalar_type()));
    torch::jit::drop(*call.stack, call.arguments().size());
    call.stack->push_back(std::move(answer));
  }

  // The length is a read wherever the operator is called: an index by a mask asks for it from inside.
  void length(const Call& call) const {
    const auto given = HostReads::counted() ? HostReads::next() : 0;
    const std::vector<IValue> arguments(call.arguments().begin(), call.arguments().end());
    const bool stale = std::ranges::any_of(arguments, [&](const IValue& value) { return any_stale(*memory_, value); });
    run_unread(call);
    if (!stale) return;
    const auto count = call.op.schema().returns().size();
    for (std::size_t i = 0; i < count; ++i) {
      auto& result = (*call.stack)[call.stack->size() - count + i];
      if (result.isTensor()) result = as_long_as(result.toTensor(), static_cast<std::int64_t>(given), i);
    }
  }

  // The first result has the length; of the others those that are not as long as the argument (inverse indices).
  [[nodiscard]] static at::Tensor as_long_as(const at::Tensor& result, std::int64_t length, std::size_t place) {
    auto sizes = result.sizes().vec();
    if (!sizes.empty() && place != 1) sizes[0] = length;
    return StaleMemory::make(sizes, c10::contiguous_strides(sizes), result.scalar_type());
  }

  void overwrite(const Call& call) const {
    const at::Tensor target = call.arguments()[0].toTensor();
    traits_.reads_inside ? run_unread(call) : run(call);
    memory_->remove(target);
  }

  // A mask for what was not computed: its numbers are used by nothing, only the generator has to move on as it did.
  void draw_over(const Call& call) {
    const at::Tensor target = call.arguments()[0].toTensor();
    const auto key = key_of(call.arguments());
    if (!memory_->holds(target) || !key) return overwrite(call);
    const auto known = words_.find(*key);
    if (known == words_.end()) {
      const GeneratorMark before;
      run(call);
      words_.emplace(*key, before.words_since(static_cast<std::uint64_t>(target.numel())));
      return;
    }
    if (!known->second) return run(call);
    advance_generator(*known->second);
    torch::jit::drop(*call.stack, call.arguments().size());
    call.stack->emplace_back(target);
  }

  void draw(const Call& call) {
    if (traits_.probabilities) {
      for (const auto& value : call.arguments()) {
        each_tensor(value, [&](const at::Tensor& tensor) {
          const Inside one;
          if (memory_->holds(tensor) && at::isFloatingType(tensor.scalar_type())) tensor.detach().fill_(1.0);
        });
      }
    }
    run_for_shape(call, std::nullopt);
  }

  void mark_written(std::span<const IValue> arguments) const {
    for (const auto place : traits_.written) {
      each_tensor(arguments[place], [&](const at::Tensor& tensor) { memory_->write(tensor); });
    }
  }

  // Runs on what stale memory happens to hold; nothing of it is used but the shapes.
  void run_for_shape(const Call& call, const std::optional<ArgumentKey>& key) {
    const std::vector<IValue> arguments(call.arguments().begin(), call.arguments().end());
    {
      const Inside one;
      std::optional<HostReads::Unread> unread;
      // The length of an index is asked for from inside, and is a read all the same.
      if (!traits_.indexed) unread.emplace();
      run(call);
    }
    if (key) answers_.remember(*key, call.results());
    for (const auto& result : call.results()) {
      each_tensor(result, [&](const at::Tensor& tensor) { memory_->add(tensor); });
    }
    mark_written(arguments);
  }

  void answer(const Call& call) {
    const auto arguments = call.arguments();
    if (returns_only_arguments(call.op.schema())) return skip(call);
    const auto key = key_of(arguments);
    const auto* shapes = key ? answers_.find(*key) : nullptr;
    if (shapes == nullptr) return run_for_shape(call, key);
    mark_written(arguments);
    Stack results;
    for (const auto& shape : *shapes) results.push_back(shape.answer());
    torch::jit::drop(*call.stack, arguments.size());
    for (auto& result : results) call.stack->push_back(std::move(result));
  }

  [[nodiscard]] static bool returns_only_arguments(const c10::FunctionSchema& schema) {
    return std::ranges::all_of(schema.returns(),
                               [](const c10::Argument& result) { return result.alias_info() != nullptr; });
  }

  // An update in place: its results are the arguments it would have written.
  void skip(const Call& call) const {
    mark_written(call.arguments());
    const auto& schema = call.op.schema();
    Stack results;
    for (const auto& result : schema.returns()) {
      for (std::size_t i = 0; i < schema.arguments().size(); ++i) {
        const auto* alias = schema.arguments()[i].alias_info();
        if (alias == nullptr || !(*alias == *result.alias_info())) continue;
        results.push_back(call.arguments()[i]);
        break;
      }
    }
    torch::jit::drop(*call.stack, schema.arguments().size());
    for (auto& result : results) call.stack->push_back(std::move(result));
  }

  Traits traits_;
  std::shared_ptr<StaleMemory> memory_;
  Answers answers_;
  std::map<ArgumentKey, std::optional<std::uint64_t>> words_;  // that a draw moves the generator by
};

// Composite operators are taken apart above this key; factories have a kernel of their own at it.
bool is_watched(const OperatorHandle& op) {
  return !op.hasKernelForDispatchKey(DispatchKey::BackendSelect) &&
         !op.hasKernelForDispatchKey(DispatchKey::CompositeImplicitAutograd) && takes_tensors(op.schema());
}

bool is_arithmetic(std::string_view space) {
  return space != "prim" && space != "samestep" && space != "profiler" && space != "c10d";
}

}  // namespace

FastForward::FastForward(const std::vector<at::Tensor>& weights) {
  for (const auto& tensor : weights) memory_->add(tensor);
  HostReads::begin_giving();
  watch_operators();
}

FastForward::~FastForward() {
  libraries_.clear();
  HostReads::end_giving();
}

void FastForward::watch_operators() {
  std::map<std::string, torch::Library*> spaces;
  auto& dispatcher = c10::Dispatcher::singleton();
  for (const auto& name : dispatcher.getAllOpNames()) {
    const std::string space = name.name.substr(0, name.name.find("::"));
    const auto op = dispatcher.findSchema(name);
    if (!op || !is_arithmetic(space) || !is_watched(*op)) continue;
    auto& library = spaces[space];
    if (library == nullptr) {
      libraries_.push_back(std::make_unique<torch::Library>(torch::Library::IMPL, space, DispatchKey::BackendSelect,
                                                            __FILE__, __LINE__));
      library = libraries_.back().get();
    }
    library->impl(full_name(name).c_str(),
                  torch::CppFunction::makeFromBoxedFunctor(std::make_unique<Kernel>(*op, memory_)));
  }
}

}  // namespace samestep::capture

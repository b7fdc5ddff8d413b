#include "replay/capture/optimizer_state.h"

#include <c10/util/Type.h>

#include <algorithm>
#include <deque>
#include <type_traits>

#include "replay/capture/tensors.h"

namespace samestep::capture {
namespace {

using namespace torch::optim;
using Betas = std::tuple<double, double>;

// --- What the classes are made of
// ------------------------------------------------------------------------------------- One visit per class: the only
// place that knows its fields. `visit(name, field)` gets references, so the same list serves reading and writing.

template <class Visit>
void visit_options(SGDOptions& o, Visit&& visit) {
  visit("lr", o.lr());
  visit("momentum", o.momentum());
  visit("dampening", o.dampening());
  visit("weight_decay", o.weight_decay());
  visit("nesterov", o.nesterov());
}

template <class Adamlike, class Visit>
void visit_adam_options(Adamlike& o, Visit&& visit) {
  visit("lr", o.lr());
  visit("betas", o.betas());
  visit("eps", o.eps());
  visit("weight_decay", o.weight_decay());
  visit("amsgrad", o.amsgrad());
}
template <class Visit>
void visit_options(AdamOptions& o, Visit&& visit) {
  visit_adam_options(o, visit);
}
template <class Visit>
void visit_options(AdamWOptions& o, Visit&& visit) {
  visit_adam_options(o, visit);
}

template <class Visit>
void visit_options(RMSpropOptions& o, Visit&& visit) {
  visit("lr", o.lr());
  visit("alpha", o.alpha());
  visit("eps", o.eps());
  visit("weight_decay", o.weight_decay());
  visit("momentum", o.momentum());
  visit("centered", o.centered());
}

template <class Visit>
void visit_options(AdagradOptions& o, Visit&& visit) {
  visit("lr", o.lr());
  visit("lr_decay", o.lr_decay());
  visit("weight_decay", o.weight_decay());
  visit("initial_accumulator_value", o.initial_accumulator_value());
  visit("eps", o.eps());
}

template <class Visit>
void visit_options(LBFGSOptions& o, Visit&& visit) {
  visit("lr", o.lr());
  visit("max_iter", o.max_iter());
  visit("max_eval", o.max_eval());
  visit("tolerance_grad", o.tolerance_grad());
  visit("tolerance_change", o.tolerance_change());
  visit("history_size", o.history_size());
  visit("line_search_fn", o.line_search_fn());
}

// visit(key, field, expected): `expected` says whether these options call for the item.
template <class Visit>
void visit_state(SGDParamState& s, SGDOptions& o, Visit&& visit) {
  visit("momentum_buffer", s.momentum_buffer(), o.momentum() != 0);
}

template <class State, class Adamlike, class Visit>
void visit_adam_state(State& s, Adamlike& o, Visit&& visit) {
  visit("step", s.step(), true);
  visit("exp_avg", s.exp_avg(), true);
  visit("exp_avg_sq", s.exp_avg_sq(), true);
  visit("max_exp_avg_sq", s.max_exp_avg_sq(), o.amsgrad());
}
template <class Visit>
void visit_state(AdamParamState& s, AdamOptions& o, Visit&& visit) {
  visit_adam_state(s, o, visit);
}
template <class Visit>
void visit_state(AdamWParamState& s, AdamWOptions& o, Visit&& visit) {
  visit_adam_state(s, o, visit);
}

template <class Visit>
void visit_state(RMSpropParamState& s, RMSpropOptions& o, Visit&& visit) {
  visit("step", s.step(), true);
  visit("square_avg", s.square_avg(), true);
  visit("momentum_buffer", s.momentum_buffer(), o.momentum() > 0);
  visit("grad_avg", s.grad_avg(), o.centered());
}

template <class Visit>
void visit_state(AdagradParamState& s, AdagradOptions&, Visit&& visit) {
  visit("step", s.step(), true);
  visit("sum", s.sum(), true);
}

template <class Visit>
void visit_state(LBFGSParamState& s, LBFGSOptions&, Visit&& visit) {
  visit("func_evals", s.func_evals(), true);
  visit("n_iter", s.n_iter(), true);
  visit("t", s.t(), true);
  visit("prev_loss", s.prev_loss(), true);
  visit("d", s.d(), true);
  visit("H_diag", s.H_diag(), true);
  visit("prev_flat_grad", s.prev_flat_grad(), true);
  visit("old_dirs", s.old_dirs(), true);
  visit("old_stps", s.old_stps(), true);
  visit("ro", s.ro(), true);
  visit("al", s.al(), true);
}

SGDOptions default_options(const SGDOptions& o) {
  return SGDOptions(o.lr());
}
template <class O>
O default_options(const O&) {
  return O();
}

template <class O, class S>
struct Family {
  using Options = O;
  using State = S;
  static constexpr bool whole_model = std::is_same_v<O, LBFGSOptions>;  // one state, under the first parameter
};

// Calls `use(options, family)` with the options' own class; false where it is none of them.
template <class Use>
bool with_family(OptimizerOptions& options, Use&& use) {
  const auto attempt = [&]<class O, class S>(Family<O, S> family) {
    auto* own = dynamic_cast<O*>(&options);
    if (own != nullptr) use(*own, family);
    return own != nullptr;
  };
  return attempt(Family<SGDOptions, SGDParamState>{}) || attempt(Family<AdamOptions, AdamParamState>{}) ||
         attempt(Family<AdamWOptions, AdamWParamState>{}) || attempt(Family<RMSpropOptions, RMSpropParamState>{}) ||
         attempt(Family<AdagradOptions, AdagradParamState>{}) || attempt(Family<LBFGSOptions, LBFGSParamState>{});
}

// --- Options as numbers
// -----------------------------------------------------------------------------------------------

struct ReadOptions {
  Options& options;
  template <class Number>
  void operator()(const std::string& name, Number& value) const {
    options[name] = static_cast<double>(value);
  }
  void operator()(const std::string& name, Betas& betas) const {
    options[name + "0"] = std::get<0>(betas);
    options[name + "1"] = std::get<1>(betas);
  }
  void operator()(const std::string& name, std::optional<std::int64_t>& value) const {
    options[name] = value ? static_cast<double>(*value) : -1.0;
  }
  void operator()(const std::string& name, std::optional<std::string>& value) const { options[name] = value ? 1 : 0; }
};

struct WriteOptions {
  const Options& options;
  template <class Use>
  void given(const std::string& name, Use&& use) const {
    if (const auto found = options.find(name); found != options.end()) use(found->second);
  }
  template <class Number>
  void operator()(const std::string& name, Number& value) const {
    given(name, [&](double number) { value = static_cast<Number>(number); });
  }
  void operator()(const std::string& name, Betas& betas) const {
    given(name + "0", [&](double number) { std::get<0>(betas) = number; });
    given(name + "1", [&](double number) { std::get<1>(betas) = number; });
  }
  void operator()(const std::string& name, std::optional<std::int64_t>& value) const {
    given(name, [&](double n) { value = n < 0 ? std::nullopt : std::optional(static_cast<std::int64_t>(n)); });
  }
  void operator()(const std::string& name, std::optional<std::string>& value) const {
    given(name, [&](double n) { value = n == 0 ? std::nullopt : std::optional<std::string>("strong_wolfe"); });
  }
};

Options lr_alone(OptimizerOptions& options) {
  try {
    return {{"lr", options.get_lr()}};
  } catch (const c10::Error&) {
    return {};  // the class does not say
  }
}

// --- State as tensors
// -------------------------------------------------------------------------------------------------

struct ReadState {
  using Kind = StateItem::Kind;
  std::vector<StateItem>& items;
  std::size_t group, position;
  bool exists;
  Kind tensor_kind;

  void put(const char* key, Kind kind, bool expected, std::vector<at::Tensor> tensors) const {
    std::erase_if(tensors, [](const at::Tensor& tensor) { return !tensor.defined(); });
    if (expected || !tensors.empty()) items.push_back({group, position, key, kind, std::move(tensors)});
  }
  template <class Number>
  void put_number(const char* key, Kind kind, Number number, bool expected) const {
    put(key, kind, expected, exists ? std::vector{scalar_tensor(number)} : std::vector<at::Tensor>{});
  }
  void operator()(const char* key, std::int64_t& number, bool expected) const {
    put_number(key, Kind::integer, number, expected);
  }
  void operator()(const char* key, double& number, bool expected) const {
    put_number(key, Kind::real, number, expected);
  }
  void operator()(const char* key, at::Tensor& tensor, bool expected) const {
    put(key, tensor_kind, expected, {tensor});
  }
  void operator()(const char* key, std::deque<at::Tensor>& tensors, bool expected) const {
    put(key, Kind::list, expected, {tensors.begin(), tensors.end()});
  }
  void operator()(const char* key, std::optional<std::vector<at::Tensor>>& tensors, bool expected) const {
    put(key, Kind::list, expected, tensors.value_or(std::vector<at::Tensor>{}));
  }
};

// Tensors of the state lie where and how the optimizer would have made them: like the parameter where they have its
// shape, else contiguous.
at::Tensor placed(const at::Tensor& tensor, const at::Tensor& like) {
  if (tensor.sizes() != like.sizes()) return tensor.to(like.device()).clone();
  return at::empty_like(like, like.options().dtype(tensor.dtype()).requires_grad(false)).copy_(tensor);
}

struct WriteState {
  const StateSource& source;
  const at::Tensor& like;
  bool& any;

  std::vector<at::Tensor> take(const char* key) const {
    auto tensors = source(key);
    for (auto& tensor : tensors) tensor = placed(tensor, like);
    any |= !tensors.empty();
    return tensors;
  }
  void operator()(const char* key, at::Tensor& tensor, bool) const {
    if (auto tensors = take(key); !tensors.empty()) tensor = tensors.front();
  }
  void operator()(const char* key, std::int64_t& number, bool) const { take_number(key, number); }
  void operator()(const char* key, double& number, bool) const { take_number(key, number); }
  void operator()(const char* key, std::deque<at::Tensor>& tensors, bool) const {
    const auto taken = take(key);
    tensors.assign(taken.begin(), taken.end());
  }
  void operator()(const char* key, std::optional<std::vector<at::Tensor>>& tensors, bool) const {
    if (auto taken = take(key); !taken.empty()) tensors = std::move(taken);
  }
  template <class Number>
  void take_number(const char* key, Number& number) const {
    const auto tensors = source(key);
    if (tensors.empty()) return;
    any = true;
    number = tensors.front().item<Number>();
  }
};

// L-BFGS indexes its scratch list up to the history's size; only what it has filled is recorded.
void complete(LBFGSParamState& state, const LBFGSOptions& options) {
  if (state.al()) state.al()->resize(std::max<std::size_t>(state.al()->size(), options.history_size()));
}
template <class State, class O>
void complete(State&, const O&) {}

OptimizerParamState* find_state(torch::optim::Optimizer& optimizer, const at::Tensor& parameter) {
  const auto& state = optimizer.state();
  const auto found = state.find(parameter.unsafeGetTensorImpl());
  return found == state.end() ? nullptr : found->second.get();
}

template <class O, class FamilyOf>
bool state_is_of(torch::optim::Optimizer& optimizer, const OptimizerParamGroup& group, O&, FamilyOf) {
  for (const auto& parameter : group.params()) {
    auto* state = find_state(optimizer, parameter);
    if (state != nullptr && dynamic_cast<typename FamilyOf::State*>(state) == nullptr) return false;
  }
  return true;
}

template <class O, class FamilyOf>
void read_group(std::vector<StateItem>& items, torch::optim::Optimizer& optimizer, std::size_t number, O& options,
                FamilyOf) {
  const auto& parameters = optimizer.param_groups()[number].params();
  const auto count = FamilyOf::whole_model ? std::min<std::size_t>(1, parameters.size()) : parameters.size();
  for (std::size_t position = 0; position < count; ++position) {
    auto* state = dynamic_cast<typename FamilyOf::State*>(find_state(optimizer, parameters[position]));
    typename FamilyOf::State none;
    const auto kind = FamilyOf::whole_model ? StateItem::Kind::list : StateItem::Kind::like_parameter;
    visit_state(state != nullptr ? *state : none, options, ReadState{items, number, position, state != nullptr, kind});
  }
}

}  // namespace

std::string class_name(const torch::optim::Optimizer& optimizer) {
  auto name = c10::demangle(typeid(optimizer).name());
  const std::string own = "torch::optim::";
  return name.starts_with(own) ? name.substr(own.size()) : name;
}

bool known(torch::optim::Optimizer& optimizer) {
  for (auto& group : optimizer.param_groups()) {
    bool state_fits = false;
    const bool options_fit = with_family(group.options(), [&](auto& options, auto family) {
      state_fits = state_is_of(optimizer, group, options, family);
    });
    if (!options_fit || !state_fits) return false;
  }
  return true;
}

Options options_of(OptimizerParamGroup& group) {
  Options options;
  const bool found = with_family(group.options(), [&](auto& own, auto) { visit_options(own, ReadOptions{options}); });
  return found ? options : lr_alone(group.options());
}

Options notable_options(OptimizerParamGroup& group) {
  Options ordinary;
  with_family(group.options(), [&](auto& own, auto) {
    auto defaults = default_options(own);
    visit_options(defaults, ReadOptions{ordinary});
  });
  auto options = options_of(group);
  std::erase_if(options, [&](const auto& option) {
    const auto found = ordinary.find(option.first);
    return option.first != "lr" && found != ordinary.end() && found->second == option.second;
  });
  return options;
}

void set_options(OptimizerParamGroup& group, const Options& options) {
  with_family(group.options(), [&](auto& own, auto) { visit_options(own, WriteOptions{options}); });
}

std::vector<StateItem> state_of(torch::optim::Optimizer& optimizer) {
  std::vector<StateItem> items;
  auto& groups = optimizer.param_groups();
  for (std::size_t number = 0; number < groups.size(); ++number) {
    with_family(groups[number].options(),
                [&](auto& options, auto family) { read_group(items, optimizer, number, options, family); });
  }
  return items;
}

void set_state(torch::optim::Optimizer& optimizer, std::size_t group, std::size_t position, const StateSource& item) {
  auto& owner = optimizer.param_groups().at(group);
  const auto& parameter = owner.params().at(position);
  with_family(owner.options(), [&]<class O, class FamilyOf>(O& options, FamilyOf) {
    auto state = std::make_unique<typename FamilyOf::State>();
    bool any = false;
    visit_state(*state, options, WriteState{item, parameter, any});
    complete(*state, options);
    auto& all = optimizer.state();
    all.erase(parameter.unsafeGetTensorImpl());
    if (any) all[parameter.unsafeGetTensorImpl()] = std::move(state);
  });
}

}  // namespace samestep::capture

#include "replay/capture/recording.h"

#include <algorithm>
#include <chrono>

#include "replay/run/error.h"
#include "replay/run/utc.h"

namespace samestep::capture {
namespace {

std::int64_t nanoseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
}

std::string reason_of(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  return torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
}

// Steps of other optimizers' columns are none of this record's business.
void mask(LaneRecord& lane, const std::vector<bool>& covered) {
  for (std::size_t i = 0; i < lane.presence.size(); ++i) {
    if (covered[i]) continue;
    lane.presence[i] = Presence::absent;
    lane.digests[i] = {};
    if (!lane.summaries.empty()) lane.summaries[i] = {};
  }
}

Entry gradient_entry(const WeightSlot& slot, const std::set<std::string>& sparse) {
  Column column{slot.name, dtype_of(slot.tensor), shape_of(slot.tensor)};
  if (sparse.contains(slot.name)) column.shape.reset();
  return {std::move(column), parts_of(slot.tensor.grad())};
}

void keep_copies(std::vector<NamedTensor>& kept, const std::string& lane, const std::vector<at::Tensor>& tensors) {
  for (const auto& tensor : tensors) kept.push_back({lane + "/" + std::to_string(kept.size()), host_copy(tensor)});
}

}  // namespace

// --- The session's life
// -----------------------------------------------------------------------------------------------

std::unique_ptr<Recording> Recording::open(TrainingProgram program, Loop& loop) {
  if (std::getenv(protocol::socket_variable) == nullptr) return nullptr;
  DeterminismPins pins;
  try {
    auto hello = describe_process();
    hello.restart = program.restart;
    auto link = RecorderLink::open(hello);
    if (link == nullptr) return nullptr;
    std::unique_ptr<Recording> recording(new Recording(std::move(program), loop, std::move(link)));
    recording->hello_ = hello;
    pins.keep();
    return recording;
  } catch (const std::exception& error) {
    say("cannot record this model: " + reason_of(error) + "; the training runs unrecorded");
    return nullptr;
  }
}

Recording::Recording(TrainingProgram program, Loop& loop, std::unique_ptr<RecorderLink> link)
    : program_(std::move(program)),
      loop_(loop),
      link_(std::move(link)),
      parameters_(*program_.weights, program_.optimizers),
      settings_(effective_settings()) {}

void Recording::keep(Kept value) {
  kept_.push_back(std::move(value));
  layout_changed_ = true;
}

bool Recording::replaying() const {
  return link_->welcome().mode == protocol::Mode::replay;
}

template <class Work>
void Recording::guarded(const char* what, Work&& work) {
  if (!live()) return;
  const at::NoGradGuard no_grad;
  work_began_ = std::chrono::steady_clock::now();
  try {
    work();
  } catch (const std::exception& error) {
    link_->give_up(std::string("cannot record ") + what + " of step " + std::to_string(step_number()) + ": " +
                   reason_of(error));
  }
  capture_ns_ += nanoseconds_since(work_began_);
  if (!live() && replaying()) loop_.stopped = true;  // nobody is asking any more
}

void Recording::begin() {
  const auto& welcome = link_->welcome();
  initial_options_ = all_options(program_.optimizers);
  offset_ = (goes_forward() ? welcome.session_first_step : welcome.first_step) - loop_.next;
  guarded("the state of the program at the start", [&] {
    parameters_.refresh();
    if (program_.restart == Restart::fast_forward || program_.restart == Restart::either) note_or_give_reads();
    if (welcome.has_anchor && !goes_forward()) jump();
  });
  if (replaying()) loop_.end = std::min(loop_.end, welcome.to - offset_);
  last_commit_ns_ = utc_now_ns();
}

// Returns the program's own number of the step that comes next.
std::uint64_t Recording::restore() {
  try {
    const MappedFile file(link_->anchor(), "the anchor");
    const auto restored = restore_anchor(file.bytes(), program(), link_->welcome().first_step, initial_options_);
    for (const auto& text : restored.notes) notice("restore", text, link_->welcome().first_step);
    reached_ = restored.reached;
    return restored.number;
  } catch (const BrokenInput& error) {
    say(std::string("cannot start from the anchor: ") + error.what());
    notice("restore_failed", error.what(), link_->welcome().first_step);
    loop_.stopped = true;
    return link_->welcome().first_step - offset_;
  }
}

void Recording::jump() {
  loop_.next = restore();
  jumped_ = !loop_.stopped;
  offset_ = link_->welcome().first_step - loop_.next;
}

void Recording::add_optimizer(std::unique_ptr<Optimizer> optimizer) {
  program_.optimizers.push_back(std::move(optimizer));
  initial_options_ = all_options(program_.optimizers);
}

void Recording::begin_iteration() {
  const bool first_of_step = !draft_.forward_seen;
  if (first_of_step && (forward_at_top_ || !first_step_done_)) {
    guarded("the weights", [&] { forward({}); });
  }
}

void Recording::end_iteration() {
  if (std::exchange(arriving_, false)) guarded("the anchor's state", [&] { arrive(); });
  if (!cut_) return;
  guarded("the anchor", [&] {
    const auto file = cut_->finish(program(), initial_options_, last_hyper_, hello_.rank);
    link_->file(protocol::Type::anchor, cut_->step(), file.descriptor());
  });
  cut_.reset();
  reached_.clear();
}

void Recording::end(bool by_exception) {
  // An exception leaves the program's own values in an unknown state: no anchor is made of them.
  if (by_exception) cut_.reset();
  end_iteration();
  if (!by_exception && !loop_.stopped && loop_.next < loop_.end) {
    notice("left_early", "the loop was left before step " + std::to_string(loop_.end + offset_) + " was reached",
           step_number());
  }
}

void Recording::bye(bool by_exception) {
  if (!live()) return;
  link_->bye(by_exception ? "exception" : "closed");
}

// --- Moment F
// ---------------------------------------------------------------------------------------------------------

void Recording::batch(const std::vector<at::Tensor>& tensors) {
  guarded("the batch", [&] {
    draft_.batch_stale |= std::ranges::any_of(tensors, [&](const auto& tensor) { return is_stale(tensor); });
    if (draft_.batch_seen) {
      read_batch(draft_, tensors);
    } else {
      forward(tensors);
      draft_.batch_seen = true;
    }
    keep_for_dump(tensors);
  });
}

void Recording::forward(const std::vector<at::Tensor>& batch) {
  layout_changed_ |= parameters_.refresh();
  put_pinned_rng();
  draft_.began_ns = utc_now_ns();
  read_forward(draft_, forward_ == nullptr ? &parameters_ : nullptr, batch);
  layout_changed_ |= draft_.rng_columns != layout_.of(Lane::rng);
  check_settings();
}

// At the first P, when it is known which optimizer steps and thus what weights_in covers.
void Recording::ask_for_first_step(std::size_t optimizer) {
  if (!link_->welcome().ask_start || first_step_known_) return;
  first_step_known_ = true;
  auto weights = draft_.weights_in;
  mask(weights, covered_by(optimizer));
  seal(Lane::weights_in, weights, parameters_.columns());
  offset_ = link_->start({weights.digest, optimizer_digest(optimizer)}) - loop_.next;
}

// The lane `optimizer` as it stands; nullopt where there is no state yet.
std::optional<Digest> Recording::optimizer_digest(std::size_t optimizer) const {
  const auto entries = optimizer_entries(program_.optimizers, parameters_);
  const auto holds = [&](const Entry& entry) { return entry.optimizer == optimizer && !entry.tensors.empty(); };
  if (std::none_of(entries.begin(), entries.end(), holds)) return std::nullopt;
  Reading reading;
  LaneBuilder lane(reading, false);
  for (const auto& entry : entries) entry.optimizer == optimizer ? lane.entry(entry) : lane.absent();
  reading.run();
  auto record = lane.record();
  seal(Lane::optimizer, record, columns_of(entries));
  return record.digest;
}

// A lane that was pinned is the recording's, whatever the program would have had.
void Recording::put_pinned_rng() {
  const auto& welcome = link_->welcome();
  if (!welcome.pin_rng || forward_ != nullptr || step_number() != welcome.first_step || link_->anchor() < 0) return;
  const MappedFile file(link_->anchor(), "the anchor");
  restore_anchor_generators(file.bytes(), welcome.first_step);
  rng_given_ = true;
}

void Recording::put_pinned_hyper(std::size_t optimizer) {
  auto& owner = *program_.optimizers[optimizer];
  for (std::size_t group = 0; group < owner.groups(); ++group) {
    const auto prefix = std::to_string(optimizer) + ".group" + std::to_string(group) + ".";
    Options options;
    for (const auto& [name, value] : *link_->pinned_hyper()) {
      if (name.starts_with(prefix)) options[name.substr(prefix.size())] = value;
    }
    owner.set_options(group, options);
  }
}

void Recording::keep_for_dump(const std::vector<at::Tensor>& batch) {
  if (!replaying() || forward_ != nullptr) return;
  keep_copies(draft_.kept_batch, "batch", batch);
  if (link_->welcome().dump_step != step_number() || !draft_.kept_weights.empty()) return;
  for (const auto& slot : parameters_.slots()) {
    draft_.kept_weights.push_back({"weights_in/" + slot.name, host_copy(slot.tensor)});
  }
}

void Recording::check_settings() {
  const auto now = effective_settings();
  if (now == settings_) return;
  notice("environment", "changed while the program ran: " + describe_change(settings_, now), step_number());
  settings_ = now;
}

// --- Moment P
// ---------------------------------------------------------------------------------------------------------

void Recording::loss(const at::Tensor& value) {
  guarded("the loss", [&] { draft_.losses.push_back(value.detach().clone()); });
}

void Recording::hyper(const std::string& name, double value) {
  draft_.hyper[name] = value;
}

void Recording::before_update(std::size_t optimizer, bool inside_closure) {
  guarded("the gradients", [&] {
    if (!draft_.forward_seen) forward({});
    ask_for_first_step(optimizer);
    auto& owner = *program_.optimizers[optimizer];
    if (pins_hyper() && forward_ == nullptr) put_pinned_hyper(optimizer);
    const auto known_names = hyper_names_.size() + sparse_gradients_.size();
    read_options(draft_, owner, optimizer);
    if (forward_ == nullptr)
      read_gradients(draft_, parameters_, optimizer, sparse_gradients_, summaries_due(step_number()) || anchor_due());
    note_hyper_names();
    layout_changed_ |= known_names != hyper_names_.size() + sparse_gradients_.size();
    if (!replaying() || !inside_closure || forward_ != nullptr) return;
    // Later passes of the closure overwrite the gradients that were read.
    for (const auto& slot : parameters_.slots()) {
      if (!slot.owned_by(optimizer) || !slot.tensor.grad().defined()) continue;
      draft_.kept_gradients.push_back({"gradients/" + slot.name, host_copy(slot.tensor.grad().to_dense())});
    }
  });
}

// Those of every optimizer, so that the first step of the second one of a GAN does not start another table.
void Recording::note_hyper_names() {
  for (const auto& [name, value] : draft_.hyper) hyper_names_.insert(name);
  for (std::size_t number = 0; number < program_.optimizers.size(); ++number) {
    for (const auto& [name, value] : hyper_options(*program_.optimizers[number], number)) hyper_names_.insert(name);
  }
}

LaneRecord Recording::hyper_lane() const {
  LaneRecord lane;
  lane.status = LaneStatus::captured;
  for (const auto& name : hyper_names_) {
    const auto value = draft_.hyper.find(name);
    const bool there = value != draft_.hyper.end();
    lane.presence.push_back(there ? Presence::present : Presence::absent);
    lane.values.push_back(there ? value->second : 0.0);
  }
  return lane;
}

// --- Moment O
// ---------------------------------------------------------------------------------------------------------

struct Recording::Outcome {
  bool anchor = false;       // one is to be cut here
  bool new_segment = false;  // the layout is not the one that was sent
  LaneRecord weights_out, optimizer, state, rng, loss;
  bool optimizer_read = false, state_read = false;
  std::vector<Entry> optimizer_entries;
};

bool Recording::state_wanted() const {
  return replaying() || layout_changed_ || cut_ || anchor_due() || in_root(Lane::optimizer, step_number());
}

bool Recording::anchor_due() const {
  if (replaying()) return false;
  const auto every = link_->welcome().anchor_every;
  return anchor_asked_ || loop_.next + 1 >= loop_.end || (every != 0 && (step_number() + 1) % every == 0);
}

Layout Recording::layout_now(std::vector<Column> optimizer_columns) const {
  Layout layout;
  layout.of(Lane::weights_in) = layout.of(Lane::weights_out) = parameters_.columns();
  layout.of(Lane::rng) = draft_.rng_columns;
  layout.of(Lane::gradients) = gradient_columns(parameters_, sparse_gradients_);
  layout.of(Lane::optimizer) = std::move(optimizer_columns);
  for (const auto& name : hyper_names_) layout.of(Lane::hyper).push_back({name, DType::f64, Shape{}});
  for (const auto& value : kept_) layout.of(Lane::state).push_back({value.name, DType::u8, std::nullopt});
  for (const auto& optimizer : program_.optimizers) layout.optimizers.push_back(optimizer->class_name());
  return layout;
}

// The schedule of the lanes that are not read at every step; renews the layout where something of it has changed.
void Recording::plan_outcome(Outcome& outcome) {
  outcome.anchor = anchor_due() || cut_.has_value();
  outcome.new_segment = layout_changed_;
  outcome.optimizer_read = outcome.anchor || outcome.new_segment || in_root(Lane::optimizer, step_number());
  if (outcome.optimizer_read) {
    outcome.optimizer_entries = optimizer_entries(program_.optimizers, parameters_);
    auto columns = columns_of(outcome.optimizer_entries);
    outcome.new_segment |= columns != layout_.of(Lane::optimizer);
    if (outcome.new_segment) layout_ = layout_now(std::move(columns));
  }
  outcome.state_read = outcome.anchor || outcome.new_segment;
  layout_changed_ = false;
}

Recording::Outcome Recording::read_outcome(std::size_t optimizer) {
  Outcome outcome;
  plan_outcome(outcome);
  const bool summarize = summaries_due(step_number()) || outcome.anchor;
  Reading reading;
  LaneBuilder weights(reading, summarize), state(reading, false), optimizers(reading, summarize), rng(reading, false);
  for (const auto& slot : parameters_.slots()) {
    slot.covered_by(optimizer) ? weights.tensor(slot.tensor) : weights.absent();
  }
  for (const auto& entry : outcome.optimizer_entries) {
    entry.optimizer == optimizer ? optimizers.entry(entry) : optimizers.absent();
  }
  if (outcome.state_read) {
    for (const auto& entry : kept_entries(kept_)) state.entry(entry);
  }
  for (const auto& generator : generator_states()) rng.tensor(generator.state);
  // Not at P: the later passes of a closure have losses of their own.
  const auto first_loss = reading.size();
  for (const auto& loss : draft_.losses) reading.add(loss);
  reading.run();
  outcome.weights_out = weights.record();
  outcome.optimizer = optimizers.record();
  outcome.state = state.record();
  outcome.rng = rng.record();
  outcome.loss = loss_lane(draft_.losses, reading, first_loss);
  return outcome;
}

StepRecord Recording::assemble(Outcome& outcome, std::size_t optimizer, bool skipped) {
  StepRecord record;
  record.step = step_number();
  record.optimizer = static_cast<std::uint32_t>(optimizer);
  record.skipped = skipped;
  record.of(Lane::weights_in) = std::move(draft_.weights_in);
  record.of(Lane::rng) = std::move(draft_.rng);
  record.of(Lane::hyper) = hyper_lane();
  if (pins_hyper()) record.of(Lane::hyper).status = LaneStatus::given;
  if (std::exchange(rng_given_, false)) record.of(Lane::rng).status = LaneStatus::given;
  record.of(Lane::gradients) = std::move(draft_.gradients);
  record.of(Lane::weights_out) = std::move(outcome.weights_out);

  auto& batch = record.of(Lane::batch);
  if (draft_.batch_seen) {
    batch.status = LaneStatus::captured;
    batch.items = std::move(draft_.batch);
  } else {
    batch = absent_lane(AbsentReason::batch_not_given);
  }
  record.of(Lane::loss) = std::move(outcome.loss);

  const bool readable = program_.optimizers[optimizer]->known();
  record.of(Lane::optimizer) = !readable                 ? absent_lane(AbsentReason::unknown_optimizer)
                               : !outcome.optimizer_read ? absent_lane(AbsentReason::off_schedule)
                                                         : std::move(outcome.optimizer);
  record.of(Lane::state) = kept_.empty()         ? absent_lane(AbsentReason::nothing_there)
                           : !outcome.state_read ? absent_lane(AbsentReason::off_schedule)
                                                 : std::move(outcome.state);
  record.rng_out = std::move(outcome.rng.digests);
  record.rng_out.resize(draft_.rng_columns.size());
  if (host_reads_ != nullptr) record.host_reads = take_reads();
  return record;
}

std::vector<bool> Recording::covered_by(std::size_t optimizer) const {
  std::vector<bool> covered;
  for (const auto& slot : parameters_.slots()) covered.push_back(slot.covered_by(optimizer));
  return covered;
}

void Recording::mask_and_seal(StepRecord& record, std::size_t optimizer) const {
  mask(record.of(Lane::weights_in), covered_by(optimizer));
  for (const auto lane : all_lanes) {
    auto& own = record.of(lane);
    if (own.status == LaneStatus::captured) seal(lane, own, layout_.of(lane));
  }
}

StepTiming Recording::timing() {
  StepTiming timing;
  const auto now = utc_now_ns();
  timing.began_ns = draft_.began_ns;
  timing.duration_ns = now - last_commit_ns_;
  // What the step still does after this, and the waiting for its acknowledgement, counts for the next.
  const auto so_far = nanoseconds_since(work_began_);
  timing.waited_ns = link_->take_waited();
  timing.capture_ns = std::max<std::int64_t>(0, capture_ns_ + so_far - timing.waited_ns);
  capture_ns_ = -so_far;
  timing.peak_memory = peak_memory();
  timing.peak_device_memory = peak_device_memory();
  timing.rank = hello_.rank;
  timing.world_size = hello_.world_size;
  last_commit_ns_ = now;
  return timing;
}

void Recording::after_update(std::size_t optimizer, bool skipped) {
  guarded("the update", [&] {
    if (forward_ != nullptr) return skip_update(optimizer, skipped);
    auto outcome = read_outcome(optimizer);
    auto record = assemble(outcome, optimizer, skipped);
    last_hyper_ = draft_.hyper;
    if (outcome.new_segment) link_->layout(encode(layout_));
    mask_and_seal(record, optimizer);
    commit(outcome, std::move(record));
    obey(step_number(), optimizer);
    if (loop_.made == 0) forward_at_top_ = !draft_.batch_seen;
    first_step_done_ = true;
  });
  draft_ = {};
}

void Recording::commit(Outcome& outcome, StepRecord record) {
  if (outcome.anchor) {
    cut_.emplace(program(), record.step + 1, loop_.next + 1);
    anchor_asked_ = false;
  }
  record.timing = timing();
  link_->step(record.step, encode(record));
}

void Recording::obey(std::uint64_t step, std::size_t optimizer) {
  const auto wishes = link_->take_wishes();
  anchor_asked_ |= wishes.cut_anchor;
  loop_.stopped |= wishes.stop;
  if (wishes.dump || link_->welcome().dump_step == step) send_dump(step, optimizer);
}

void Recording::send_dump(std::uint64_t step, std::size_t optimizer) {
  auto tensors = draft_.kept_weights;
  tensors.insert(tensors.end(), draft_.kept_batch.begin(), draft_.kept_batch.end());
  for (std::size_t i = 0; i < draft_.losses.size(); ++i) {
    tensors.push_back({"loss/" + std::to_string(i), draft_.losses[i]});
  }
  tensors.insert(tensors.end(), draft_.kept_gradients.begin(), draft_.kept_gradients.end());
  for (const auto& slot : parameters_.slots()) {
    const bool own = slot.owned_by(optimizer) && draft_.kept_gradients.empty() && slot.tensor.grad().defined();
    if (own) append_named(tensors, "gradients", gradient_entry(slot, sparse_gradients_));
  }
  for (const auto& entry : optimizer_entries(program_.optimizers, parameters_)) {
    if (entry.optimizer == optimizer) append_named(tensors, "optimizer", entry);
  }
  for (const auto& slot : parameters_.slots()) {
    if (slot.covered_by(optimizer)) tensors.push_back({"weights_out/" + slot.name, slot.tensor});
  }
  const MemoryFile file(tensors, {{"samestep", nlohmann::json{{"step", step}}.dump()}});
  link_->file(protocol::Type::dump, step, file.descriptor());
}

// --- Fast-forward
// ---------------------------------------------------------------------------------------------------------

bool Recording::goes_forward() const {
  const bool jumps =
      program_.restart == Restart::jump || (program_.restart == Restart::either && link_->welcome().jump);
  return !jumps && link_->welcome().has_anchor;
}

void Recording::note_or_give_reads() {
  if (!replaying()) host_reads_ = std::make_unique<HostReads>();
  if (!goes_forward()) return;
  std::vector<at::Tensor> weights;
  for (const auto& slot : parameters_.slots()) weights.push_back(slot.tensor);
  forward_ = std::make_unique<FastForward>(weights);
  HostReads::give(link_->welcome().host_reads);
}

bool Recording::take_written(const std::vector<at::Tensor>& tensors) {
  bool written = false;
  for (const auto& tensor : tensors) written |= forward_ != nullptr && forward_->take_written(tensor);
  return written;
}

std::vector<std::uint64_t> Recording::take_reads() {
  bool lost = false;
  auto reads = HostReads::take(&lost);
  if (lost && !std::exchange(reads_said_, true)) {
    notice("host_reads",
           "the program read more than " + std::to_string(max_host_reads) +
               " numbers out of tensors in one step; a replay that fast-forwards over it cannot give them all",
           step_number());
  }
  return reads;
}

// The record of a step that was not computed: what the program chose and drew is its own, the rest is the recording's.
void Recording::skip_update(std::size_t optimizer, bool skipped) {
  StepRecord record;
  record.step = step_number();
  record.optimizer = static_cast<std::uint32_t>(optimizer);
  record.skipped = skipped;
  for (const auto lane : all_lanes) record.of(lane).status = LaneStatus::given;
  record.of(Lane::rng) = std::move(draft_.rng);
  record.of(Lane::hyper) = hyper_lane();
  if (draft_.batch_seen && !draft_.batch_stale) {
    record.of(Lane::batch).status = LaneStatus::captured;
    record.of(Lane::batch).items = std::move(draft_.batch);
  }
  if (std::exchange(layout_changed_, false)) {
    layout_ = layout_now({});
    link_->layout(encode(layout_));
  }
  mask_and_seal(record, optimizer);
  record.timing = timing();
  check_reads();
  link_->step(record.step, encode(record));
  for (const auto& slot : parameters_.slots()) forward_->mark(slot.tensor);
  HostReads::give(link_->take_host_reads());
  obey(record.step, optimizer);
  arriving_ = record.step + 1 == link_->welcome().first_step && !loop_.stopped;
}

// The recorded program read as many numbers as this one, or what it decided by them cannot be trusted.
void Recording::check_reads() {
  const auto missing = HostReads::short_of(), left = HostReads::left();
  if (missing + left == 0 || std::exchange(reads_said_, true)) return;
  notice("fast_forward",
         missing > 0 ? "the program read " + std::to_string(missing) + " numbers more out of tensors than were recorded"
                     : std::to_string(left) + " of the numbers that the recorded program read were not asked for",
         step_number());
}

void Recording::arrive() {
  forward_.reset();
  layout_changed_ = true;
  draft_ = {};
  const auto next = restore();
  if (next == loop_.next || loop_.stopped) return;
  notice("restore",
         "the anchor is of the program's step " + std::to_string(next) + ", the program is at step " +
             std::to_string(loop_.next),
         link_->welcome().first_step);
}

void Recording::note_idle_iteration() {
  if (idle_said_ || !live()) return;
  idle_said_ = true;
  notice("no_update", "an iteration of the loop ended without step.update(): it is no step", step_number());
}

void Recording::notice(const std::string& kind, const std::string& text, std::optional<std::uint64_t> step) {
  if (live()) link_->notice({kind, step, "", text});
}

void Recording::code(protocol::Code code) {
  if (!live()) return;
  code.libraries = mapped_files();
  link_->code(code);
}

}  // namespace samestep::capture

#include "bisect/environment_trials.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>

#include "bisect/build.h"
#include "bisect/checkout.h"
#include "bisect/inputs.h"
#include "bisect/json_bytes.h"
#include "bisect/trial_folder.h"
#include "bisect/trial_key.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"
#include "replay/run/run_files.h"
#include "replay/view/view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const fs::path& file, const std::string& why) {
  throw BrokenInput(fmt::format("{}: {}; start the bisect again", file.string(), why));
}

// Read through the descriptor that the view will copy from, so that what was checked is what stands there.
EarlierFile verified(const fs::path& bytes, const std::string& digest) {
  EarlierFile file;
  file.must = true;
  file.contents =
      std::make_shared<const Descriptor>(::open(bytes.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  const std::atomic<bool> never = false;
  const auto found = *file.contents ? file_digest(file.contents->get(), bytes, never) : std::nullopt;
  if (!found || found->hex() != digest) refuse(bytes, "it changed while its bytes were to be tried elsewhere");
  struct stat info {};
  if (::fstat(file.contents->get(), &info) != 0) refuse(bytes, "it cannot be read");
  file.size = static_cast<std::uint64_t>(info.st_size);
  return file;
}

// Python takes what it compiled for the source's, if size and second agree: no file there was ever of this one.
constexpr std::int64_t another_second = 2'000'000'000;

void put(std::vector<EarlierFile>& files, const fs::path& place, EarlierFile file) {
  struct stat info {};
  if (::stat(place.c_str(), &info) != 0) refuse(place, "it is gone");
  file.at = place;
  file.mode = info.st_mode & 0777;
  file.mtime_ns = info.st_mtim.tv_sec * std::int64_t{1'000'000'000} + info.st_mtim.tv_nsec + another_second;
  files.push_back(std::move(file));
}

void exchange(ReplayOptions& options, const EnvironmentItem& item, bool in) {
  if (item.kind == EnvironmentItem::Kind::variable) {
    options.environment[item.variable] = in ? item.other_value : item.recorded_value;
    return;
  }
  const auto& bytes = in ? item.other_bytes : item.recorded_bytes;
  if (!bytes) return;
  const EarlierFile file = verified(*bytes, in ? item.other_digest : item.recorded_digest);
  for (const fs::path& place : item.places) put(options.exchanged, place, file);
}

nlohmann::json bytes_if_any(const std::optional<std::string>& value) {
  return value ? bytes_to_json(*value) : nlohmann::json();
}

bool has(const ItemSet& set, std::size_t item) {
  return std::ranges::binary_search(set, item);
}

}  // namespace

EnvironmentTrials::EnvironmentTrials(EnvironmentTrialSettings settings, nlohmann::json recorded,
                                     const TrialWindow& window)
    : settings_(std::move(settings)),
      recorded_(std::move(recorded)),
      window_(window),
      cache_(settings_.cache, settings_.replay.say, settings_.fresh) {
  settings_.replay.limits.ends_when_asked = settings_.build_limits.ends_when_asked = true;
}

fs::path EnvironmentTrials::new_folder(const ItemSet& in) {
  return new_trial_folder(settings_.folder, fmt::format("{}-of-{}", in.size(), items_.size()), made_);
}

ReplayOptions EnvironmentTrials::options_for(const ItemSet& in, const fs::path& own) const {
  ReplayOptions options = settings_.replay;
  options.from = window_.from;
  options.to = window_.to;
  options.folder = own / "replay";
  options.another_revision = true;  // what differs is the question, not a suspect
  options.ignore_environment = true;
  options.say = [](const std::string&) {};
  for (std::size_t i = 0; i < items_.size(); ++i) exchange(options, items_[i], has(in, i));
  return options;
}

ReplayAnswer EnvironmentTrials::replay_once(ReplayOptions options, const fs::path& own) const {
  if (settings_.repository == nullptr) return replay(options);
  return replay_revision(std::move(options), *settings_.repository, settings_.commit, settings_.build,
                         settings_.build_limits, own);
}

ReplayAnswer EnvironmentTrials::look(const ItemSet& in) {
  const fs::path own = new_folder(in);
  ReplayOptions options = options_for(in, own);
  options.look_around = true;
  ReplayAnswer answer = replay_once(std::move(options), own);
  if (answer.asked_to_stop != 0) throw TrialInterrupted(answer.asked_to_stop);
  remove_dumps(own / "replay");
  return answer;
}

// What the recording took, and what is put in its place.
std::vector<fs::path> EnvironmentTrials::inputs() const {
  std::vector<fs::path> files = recorded_inputs(recorded_);
  for (const EnvironmentItem& item : items_) {
    files.insert(files.end(), item.places.begin(), item.places.end());
    for (const auto& bytes : {item.recorded_bytes, item.other_bytes})
      if (bytes) files.push_back(*bytes);
  }
  return files;
}

// Each item as it stands in these trials.
nlohmann::json EnvironmentTrials::exchanged_in(const ItemSet& in) const {
  nlohmann::json exchanged = nlohmann::json::array();
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const EnvironmentItem& item = items_[i];
    const bool is_in = has(in, i);
    exchanged.push_back({bytes_to_json(item.name), item.variable,
                         bytes_if_any(is_in ? item.other_value : item.recorded_value),
                         is_in ? item.other_digest : item.recorded_digest});
  }
  return exchanged;
}

nlohmann::json EnvironmentTrials::key_of(const ItemSet& in, std::uint64_t sample) const {
  const ReplayOptions& replaying = settings_.replay;
  nlohmann::json key =
      to_json(TrialKey{replaying, settings_.build, settings_.build_limits, window_, recorded_, sample});
  key["items"] = exchanged_in(in);
  for (const auto& [name, value] : replaying.environment) key["variables"][name] = bytes_if_any(value);
  key["tree"] = settings_.repository == nullptr ? "" : settings_.repository->tree(settings_.commit);
  key["folder"] = replaying.cwd ? bytes_to_json(fs::absolute(*replaying.cwd).native()) : "";
  key["in_place"] = replaying.in_place;
  key["inputs"] = Inputs(inputs()).digest().hex();
  return key;
}

EnvironmentTrials::Tried EnvironmentTrials::try_once(const ItemSet& in) {
  const fs::path own = new_folder(in);
  const Inputs watched(inputs());
  const ReplayAnswer replayed = replay_once(options_for(in, own), own);
  if (replayed.asked_to_stop != 0) throw TrialInterrupted(replayed.asked_to_stop);
  remove_dumps(own / "replay");
  TrialAnswer answer = trial_answer_of(replayed);
  refuse_a_full_disk(replayed, answer, own);
  const auto changed = settings_.replay.in_place ? std::vector<fs::path>() : watched.changed();
  if (changed.empty()) return {std::move(answer), holds_for_long(replayed)};
  TrialAnswer nothing;
  nothing.steps_replayed = answer.steps_replayed;
  nothing.why = fmt::format("{} changed while the trial ran", printable(changed.front().string()));
  return {std::move(nothing), false};
}

TrialAnswer EnvironmentTrials::ask(const ItemSet& in) {
  const nlohmann::json key = key_of(in, asked_[in]++);
  if (auto known = cache_.find(key)) return std::move(*known);
  Tried tried = try_once(in);
  if (tried.holds) cache_.keep(key, tried.answer);
  return std::move(tried.answer);
}

}  // namespace samestep

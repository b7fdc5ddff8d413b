#include "replay/resume/sample.h"

#include <fmt/format.h>

#include <algorithm>

#include "replay/player/refusals.h"
#include "replay/player/replay_view.h"
#include "replay/recorder/record.h"
#include "replay/recorder/seeds.h"
#include "replay/resume/killing_recorder.h"
#include "replay/run/format.h"
#include "replay/run/run_reader.h"

namespace samestep {
namespace {

std::optional<std::string> secret_of(const Sample& sample) {
  for (const Pin& pin : pins_from_manifest(read_manifest(sample.run).what))
    if (pin.name == format::entropy_variable) return pin.value;
  return std::nullopt;
}

RecordOptions record_options(const SampleOptions& options, const Sample& sample, const Workplace& place) {
  RecordOptions record;
  record.argv = options.argv;
  record.cwd = place.cwd();
  record.run = sample.run;
  record.anchor_every = options.anchor_every;
  record.anchor_share = 0;
  record.stop_after = options.stop_after;
  record.watch_files = false;  // what a view refuses is asked for instead
  record.go_on = options.go_on;
  if (options.repeats != nullptr) record.secret = secret_of(*options.repeats);
  return record;
}

void give_what_was_seeded(const Sample& earlier, const Server& server) {
  give_seeds(seeds_from_manifest(read_manifest(earlier.run).what), server.socket_path(), false);
}

}  // namespace

bool Sample::has_steps() const {
  std::error_code error;
  if (!std::filesystem::exists(run, error)) return false;  // the command was not started
  const RunReader reader(run);
  return reader.end_step() > reader.first_step();
}

Sample record_sample(const ResumeOptions& check, const SampleOptions& options, Workplace& place,
                     const std::filesystem::path& folder) {
  Sample sample{options.name, folder / options.name, folder / (options.name + ".txt"), {}, {}};
  place.prepare();
  bool closing = false;  // the last lines advise what to do with a run that may be gone soon
  Terminal terminal([&](const std::string& text) {
    if (!closing) check.say(fmt::format("{} run: {}", options.name, text));
  });
  KillingRecorder recorder(record_options(options, sample, place), terminal, options.kill_after);
  Server server(recorder);
  if (options.repeats != nullptr) give_what_was_seeded(*options.repeats, server);
  Launch start{
      options.argv,      place.cwd(), recorder.environment(), sample.output,
      place.enclosure(), {},          !place.in_view(),       [&](Running& command) { recorder.started(command); }};
  Refusals refusals;
  const auto listener = place.in_view() ? listen_for_refusals(start, server.socket_path(), refusals) : nullptr;
  sample.ending = launch_recorded(start, recorder, server, terminal, listener.get());
  closing = true;
  recorder.close(sample.ending);
  if (place.in_view()) sample.refused = all_refused(refusals.paths(), sample.output);
  return sample;
}

}  // namespace samestep

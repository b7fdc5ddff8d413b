#include "bisect/trial_key.h"

#include "bisect/json_bytes.h"
#include "bisect/toolchain.h"

namespace samestep {
namespace {

using nlohmann::json;

json to_json(const Limits& limits) {
  return {limits.time.count(), limits.memory};
}

json bytes_of(const std::map<std::string, std::string>& values) {
  json object = json::object();
  for (const auto& [name, value] : values) object[name] = bytes_to_json(value);
  return object;
}

}  // namespace

json to_json(const TrialKey& key) {
  const ReplayOptions& replaying = key.replaying;
  return {{"samestep", program_identity()},
          {"sample", key.sample},
          {"run", manifest_digest(replaying.run)},
          {"rank", replaying.rank},
          {"from", key.window.from},
          {"to", key.window.to},
          {"command", bytes_to_json(replaying.command)},
          {"build", bytes_to_json(key.build)},
          {"limits", {to_json(key.build_limits), to_json(replaying.limits)}},
          {"set", bytes_of(replaying.set)},
          {"ignore_environment", replaying.ignore_environment},
          {"network", replaying.network},
          {"led", {replaying.led_counts, replaying.computed, replaying.called_once}},
          {"environment", environment_digest(key.what)},
          {"toolchain", toolchain_digest(key.build, replaying.command)},
          {"machine", key.machines.empty() ? json(machine_digest()) : bytes_to_json(key.machines)}};
}

}  // namespace samestep

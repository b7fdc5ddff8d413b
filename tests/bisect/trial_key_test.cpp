// What kept answers depend on, and what they do not.
#include "bisect/trial_key.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "bisect/json_bytes.h"
#include "bisect/toolchain.h"
#include "replay/run/strict_json.h"

namespace samestep {
namespace {

using nlohmann::json;

std::string with(const char* name, const char* value) {
  ::setenv(name, value, 1);
  std::string digest = environment_digest(json::object());
  ::unsetenv(name);
  return digest;
}

TEST(TheEnvironmentOfATrial, IsNotThatOfAJobOrABuildServer) {
  const std::string usual = environment_digest(json::object());
  for (const char* name : {"SLURM_JOB_ID", "SLURM_JOB_NODELIST", "PBS_JOBID", "GITHUB_RUN_ID", "GITHUB_SHA",
                           "CI_JOB_ID", "CI_PIPELINE_URL", "BUILD_NUMBER", "BUILDKITE_BUILD_ID", "JENKINS_URL",
                           "RUNNER_TEMP", "TMPDIR", "TERM", "SSH_CONNECTION", "GNOME_TERMINAL_SCREEN", "XAUTHORITY"})
    EXPECT_EQ(with(name, "4711"), usual) << name;
}

TEST(TheEnvironmentOfATrial, IsWhateverMaySteerTraining) {
  const std::string usual = environment_digest(json::object());
  for (const char* name : {"SLURM_ARRAY_TASK_ID", "SLURM_NTASKS", "SLURM_CPUS_PER_TASK", "SLURM_PROCID", "CI", "RATE",
                           "BUILD_TYPE", "CUDA_VISIBLE_DEVICES", "CI_SEED", "CI_NODE_INDEX", "BUILDKITE_PARALLEL_JOB"})
    EXPECT_NE(with(name, "4711"), usual) << name;
  EXPECT_NE(with("RATE", "\xff"), with("RATE", "\xfe")) << "bytes, not texts";
}

TEST(TheMachineOfATrial, IsItsProcessorAndItsGpus) {
  const json machine{{"processor", "A"}, {"processor_flags", "avx2"}, {"gpu_driver", "550"}, {"kernel", "6.1"}};
  const std::string usual = machine_digest(machine, {"H100"});
  for (const char* part : {"processor", "processor_flags", "gpu_driver"}) {
    json other = machine;
    other[part] = "another";
    EXPECT_NE(machine_digest(other, {"H100"}), usual) << part;
  }
  EXPECT_NE(machine_digest(machine, {"H200"}), usual);
  EXPECT_NE(machine_digest(machine, {"H100", "H100"}), usual);
  json updated = machine;
  updated["kernel"] = "6.2";
  EXPECT_EQ(machine_digest(updated, {"H100"}), usual);
}

TEST(WordsInJson, AreBytesWithoutLoss) {
  for (const std::string& word : {std::string(), std::string("train.py"), std::string("na\xc3\xafve"),
                                 std::string("\xff\xfe"), std::string("[255,254]")}) {
    const json written = bytes_to_json(word);
    EXPECT_EQ(bytes_from_json(parse_json(json_dump(written), "a test")), word);
  }
  for (const char* other : {"5", "null", "[256]", "[-1]", "[\"a\"]", "{}", "[0]", "\"\\u0000\""})
    EXPECT_EQ(bytes_from_json(json::parse(other)), std::nullopt) << other;
}

}  // namespace
}  // namespace samestep

#include "replay/recorder/pins.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace samestep {
namespace {

const Machine epyc{.physical_cores = 2, .x86 = true, .intel = false, .avx2 = true, .avx512 = true, .nvidia = false};
const Machine xeon{.physical_cores = 8, .x86 = true, .intel = true, .avx2 = true, .avx512 = true, .nvidia = true};
const std::vector<std::string> command{"./train"};

Pin pin_of(const std::vector<Pin>& pins, const std::string& name) {
  const auto found = std::ranges::find(pins, name, &Pin::name);
  return found == pins.end() ? Pin{} : *found;
}

TEST(Pins, FreezeWhatTheProgramWouldHaveHad) {
  const auto pins = pins_for_recording({}, command, epyc);
  EXPECT_EQ(pin_of(pins, "OMP_NUM_THREADS").value, "2");
  EXPECT_EQ(pin_of(pins, "ATEN_CPU_CAPABILITY").value, "avx512");
  EXPECT_EQ(pin_of(pins, "PYTHONHASHSEED").value, "0");
}

TEST(Pins, LeaveMklAloneWhereAPinWouldChangeBits) {
  EXPECT_EQ(pin_of(pins_for_recording({}, command, epyc), "MKL_CBWR").value, std::nullopt);
  EXPECT_EQ(pin_of(pins_for_recording({}, command, epyc), "MKL_CBWR").by, "nobody");
  EXPECT_EQ(pin_of(pins_for_recording({}, command, xeon), "MKL_CBWR").value, "AVX512");
}

TEST(Pins, LetTheUserWin) {
  const auto pins = pins_for_recording({{"OMP_NUM_THREADS", "1"}, {"NCCL_ALGO", "Ring"}}, command, xeon);
  EXPECT_EQ(pin_of(pins, "OMP_NUM_THREADS").value, "1");
  EXPECT_EQ(pin_of(pins, "OMP_NUM_THREADS").by, "user");
  EXPECT_EQ(pin_of(pins, "NCCL_ALGO").by, "user");
}

TEST(Pins, DoNotTakeTheChoiceOfThreadsFromALauncher) {
  for (const char* word : {"torchrun", "/usr/bin/torchrun", "torch.distributed.run"}) {
    const std::vector<std::string> several{"python", "-m", word, "train.py"};
    EXPECT_EQ(pin_of(pins_for_recording({}, several, xeon), "OMP_NUM_THREADS").value, std::nullopt) << word;
  }
  EXPECT_EQ(pin_of(pins_for_recording({{"MKL_NUM_THREADS", "1"}}, command, xeon), "OMP_NUM_THREADS").value,
            std::nullopt);
}

TEST(Pins, ComeBackFromAManifest) {
  const auto pins = pins_for_recording({{"OMP_SCHEDULE", "static"}}, command, epyc);
  const auto told = pins_from_manifest({{"pins", to_json(pins)}});
  ASSERT_EQ(told.size(), pins.size());
  for (std::size_t i = 0; i < pins.size(); ++i) {
    EXPECT_EQ(told[i].name, pins[i].name);
    EXPECT_EQ(told[i].value, pins[i].value);
  }
}

TEST(Pins, OfAHostileManifestAreNoLoaderVariablesAndNoPaths) {
  const nlohmann::json what{{"pins",
                             {{{"name", "LD_PRELOAD"}, {"value", "evil.so"}},
                              {{"name", "PYTHONPATH"}, {"value", "evil"}},
                              {{"name", "OMP_NUM_THREADS"}, {"value", "/tmp/evil"}},
                              {{"name", "OMP_SCHEDULE"}, {"value", std::string(65, 'a')}},
                              {{"name", 7}, {"value", "1"}},
                              {{"value", "1"}},
                              "text",
                              {{"name", "OMP_NUM_THREADS"}, {"value", "4"}}}}};
  const auto pins = pins_from_manifest(what);
  ASSERT_EQ(pins.size(), 1u);
  EXPECT_EQ(pins[0].value, "4");
  EXPECT_TRUE(pins_from_manifest({{"pins", 3}}).empty());
  EXPECT_TRUE(pins_from_manifest(nullptr).empty());
}

TEST(Pins, ChangeOnlyWhatIsNotSo) {
  const std::vector<Pin> pins{
      {"A", "1", "", ""}, {"B", std::nullopt, "", ""}, {"C", "3", "", ""}, {"D", std::nullopt, "", ""}};
  const auto changes = changes_for(pins, {{"A", "1"}, {"B", "2"}, {"C", "2"}});
  const EnvironmentChanges expected{{"B", std::nullopt}, {"C", "3"}};
  EXPECT_EQ(changes, expected);
}

TEST(KeptEnvironment, HasValuesOfWhatSteersAndNamesOfTheRest) {
  const auto kept = kept_environment(
      {{"OMP_NUM_THREADS", "2"}, {"HF_TOKEN", "secret"}, {"NCCL_SOCKET_KEY", "secret"}, {"HOME", "/root"}});
  EXPECT_EQ(kept["values"], nlohmann::json({{"OMP_NUM_THREADS", "2"}}));
  EXPECT_EQ(kept["names"], nlohmann::json({"HF_TOKEN", "HOME", "NCCL_SOCKET_KEY"}));
}

TEST(ThisMachine, HasCores) {
  EXPECT_GE(this_machine().physical_cores, 1u);
}

}  // namespace
}  // namespace samestep

// From an anchor, the same bits again; and what is said where that cannot be.
#include <gmock/gmock.h>
#include <torch/torch.h>

#include <cstring>
#include <random>

#include "fake_recorder.h"
#include "replay/checkpoint/safetensors.h"
#include "training.h"

namespace samestep::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using torch::optim::SGD;
using torch::optim::SGDOptions;

struct Recorded {
  Told told;
  std::vector<at::Tensor> weights;
};

Recorded record(const Plan& plan, std::uint64_t anchor_every) {
  FakeRecorder recorder(recording(anchor_every));
  auto weights = train(plan);
  return {recorder.told(), std::move(weights)};
}

Recorded replay(const Plan& plan, const Told& recorded, std::uint64_t anchor, std::uint64_t to) {
  FakeRecorder recorder(replaying(anchor, to, recorded.anchors.at(anchor)));
  auto weights = train(plan);
  return {recorder.told(), std::move(weights)};
}

// Replayed steps have the recorded roots. (The optimizer's state enters a root by the step's number alone.)
void expect_same_steps(const Told& recorded, const Told& replayed, std::uint64_t first, std::uint64_t to) {
  ASSERT_EQ(replayed.steps.size(), to - first);
  for (const auto& step : replayed.steps) {
    const auto& was = recorded.steps.at(step.step);
    for (const auto lane : all_lanes) {
      if (step.of(lane).status == LaneStatus::absent || was.of(lane).status == LaneStatus::absent) continue;
      EXPECT_EQ(step.of(lane).digest, was.of(lane).digest) << "step " << step.step << " " << name(lane);
    }
    EXPECT_EQ(step.root, was.root) << step.step;
    EXPECT_EQ(step.rng_out, was.rng_out) << step.step;
  }
}

class ReplayOf : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Replay, ReplayOf, ::testing::ValuesIn(optimizer_names),
                         [](const auto& about) { return about.param; });

TEST_P(ReplayOf, AnAnchorGoesOnBitForBit) {
  const Plan plan{.optimizer = GetParam(), .steps = 20};
  const auto recorded = record(plan, 5);
  for (const std::uint64_t anchor : {5, 10, 15}) {
    const auto again = replay({.optimizer = GetParam(), .steps = 20, .seed = 99}, recorded.told, anchor, 20);
    expect_same_steps(recorded.told, again.told, anchor, 20);
    EXPECT_TRUE(equal_bits(again.weights, recorded.weights)) << anchor;
  }
}

TEST_P(ReplayOf, TheFirstStepNeedsNoAnchor) {
  const Plan plan{.optimizer = GetParam(), .steps = 6};
  const auto recorded = record(plan, 0);
  FakeRecorder recorder(replaying(0, 4, {}));
  train(plan);
  expect_same_steps(recorded.told, recorder.told(), 0, 4);
}

TEST(Replay, GoesOnFromTheEndOfTheIterationNotFromInsideUpdate) {
  // After update() the program clips its weights and draws for an evaluation: both are part of what goes on.
  const auto clip = [](const Step&, Net& net, torch::optim::Optimizer&) {
    const at::NoGradGuard guard;
    for (auto& parameter : net->parameters()) parameter.clamp_(-0.2, 0.2);
    torch::randn({3});
  };
  const Plan plan{.steps = 10, .after_update = clip};
  const auto recorded = record(plan, 5);
  const auto file = parse_safetensors(recorded.told.anchors.at(5), "anchor");
  EXPECT_NE(file.find("resume/weights_out/last.weight"), nullptr);
  EXPECT_NE(file.find("resume/rng/cpu"), nullptr);
  EXPECT_EQ(file.find("resume/optimizer/0/last.weight/exp_avg"), nullptr);
  const auto again = replay(plan, recorded.told, 5, 10);
  expect_same_steps(recorded.told, again.told, 5, 10);
}

TEST(Replay, AnAnchorOfAProgramThatChangesNothingAfterUpdateHasNothingToAdd) {
  const auto recorded = record({.steps = 4}, 2);
  for (const auto& view : parse_safetensors(recorded.told.anchors.at(2), "anchor").tensors) {
    EXPECT_FALSE(view.name.starts_with("resume/")) << view.name;
  }
}

// --- Options
// ----------------------------------------------------------------------------------------------------------

void decay(torch::optim::Optimizer& optimizer) {
  auto& options = optimizer.param_groups()[0].options();
  options.set_lr(options.get_lr() * 0.9);
}

TEST(Replay, AScheduledLearningRateComesBack) {
  const Plan plan{.steps = 10, .after_update = [](const Step&, Net&, torch::optim::Optimizer& o) { decay(o); }};
  const auto recorded = record(plan, 5);
  expect_same_steps(recorded.told, replay(plan, recorded.told, 5, 10).told, 5, 10);
}

TEST(Replay, AConstantChangedInTheCodeIsNotHiddenByTheAnchor) {
  const auto recorded = record({.steps = 10}, 5);
  const auto other_rate = [](Session&, Net&, torch::optim::Optimizer& optimizer) {
    optimizer.param_groups()[0].options().set_lr(0.02);
  };
  const auto again = replay({.steps = 10, .before = other_rate}, recorded.told, 5, 10);
  EXPECT_THAT(again.told.steps.at(0).of(Lane::hyper).values, ElementsAre(0.02, 0.1));
  EXPECT_TRUE(again.told.has_event("restore", "0.group0.lr began as 0.01"));
}

// --- Kept values
// ------------------------------------------------------------------------------------------------------

struct Cursor {
  std::int32_t epoch = 0, place = 0;
};

TEST(Replay, KeptValuesOfEveryKindComeBack) {
  struct Values {
    std::int64_t whole = 0;
    double real = 0;
    bool flag = false;
    std::string text;
    std::vector<float> numbers;
    std::vector<bool> flags;
    at::Tensor tensor = torch::zeros({2, 2});
    std::vector<at::Tensor> tensors{torch::zeros({1})};
    Cursor cursor;
    std::mt19937 generator{3};
  } values;
  const auto keep = [&](const char* name, auto& value) {
    return [&, name](Session& session) {
      using Value = std::decay_t<decltype(value)>;
      session.keep(
          name, [&] { return value; }, [&](const Value& restored) { value = restored; });
    };
  };
  const auto keep_all = [&](Session& session, Net&, torch::optim::Optimizer&) {
    keep("whole", values.whole)(session), keep("real", values.real)(session), keep("flag", values.flag)(session);
    keep("text", values.text)(session), keep("numbers", values.numbers)(session), keep("flags", values.flags)(session);
    keep("tensor", values.tensor)(session), keep("tensors", values.tensors)(session);
    keep("cursor", values.cursor)(session), keep("generator", values.generator)(session);
  };
  const auto advance = [&](const Step& step, Net&, torch::optim::Optimizer&) {
    values.whole = -static_cast<std::int64_t>(step) - 1;
    values.real = std::sqrt(static_cast<double>(step));
    values.flag = true;
    values.text += "x";
    values.numbers.push_back(0.5F);
    values.flags.push_back(step % 2 == 1);
    values.tensor = torch::full({2, 2}, static_cast<double>(step));
    values.tensors.push_back(torch::ones({1}));
    values.cursor = {1, static_cast<std::int32_t>(step.number())};
    values.generator();
  };
  const auto recorded = record({.steps = 4, .before = keep_all, .after_update = advance}, 4);
  auto expected = std::move(values);
  values = Values{};
  replay({.steps = 4, .before = keep_all}, recorded.told, 4, 4);
  EXPECT_EQ(values.whole, -4);
  EXPECT_EQ(values.real, expected.real);
  EXPECT_TRUE(values.flag);
  EXPECT_EQ(values.text, "xxxx");
  EXPECT_EQ(values.numbers, expected.numbers);
  EXPECT_EQ(values.flags, expected.flags);
  EXPECT_TRUE(torch::equal(values.tensor, expected.tensor));
  EXPECT_EQ(values.tensors.size(), 5);
  EXPECT_EQ(values.cursor.place, 3);
  EXPECT_EQ(values.generator, expected.generator);
}

TEST(Replay, ForgettingToKeepIsNamed) {
  int cursor = 0;
  const auto keep = [&](Session& session, Net&, torch::optim::Optimizer&) {
    session.keep(
        "cursor", [&] { return cursor; }, [&](int value) { cursor = value; });
  };
  const auto recorded = record({.steps = 4, .before = keep}, 2);
  const auto again = replay({.steps = 4}, recorded.told, 2, 4);
  EXPECT_TRUE(again.told.steps.empty());
  EXPECT_TRUE(again.told.has_event("restore_failed", "\"cursor\""));
}

// --- Models that changed
// ----------------------------------------------------------------------------------------------

Told record_linear(FakeRecorder& recorder, const std::string& name, std::int64_t width, std::uint64_t steps) {
  auto model = std::make_shared<torch::nn::Module>();
  auto layer = model->register_module(name, torch::nn::Linear(width, 1));
  SGD optimizer(model->parameters(), SGDOptions(0.1).momentum(0.9));
  {
    Session session{model, optimizer};
    for (const auto step : session.steps(steps)) {
      optimizer.zero_grad();
      layer->forward(torch::ones({2, width})).sum().backward();
      step.update();
    }
  }
  return recorder.told();
}

Told linear_run(Script script, const std::string& name, std::int64_t width) {
  torch::manual_seed(1);
  FakeRecorder recorder(std::move(script));
  return record_linear(recorder, name, width, 6);
}

TEST(Replay, ARenamedModelIsRestoredByPosition) {
  const auto recorded = linear_run(recording(3), "old", 4);
  const auto again = linear_run(replaying(3, 6, recorded.anchors.at(3)), "renamed", 4);
  expect_same_steps(recorded, again, 3, 6);
}

TEST(Replay, AWeightOfAnotherShapeIsNamedAndNothingRuns) {
  const auto recorded = linear_run(recording(3), "layer", 4);
  const auto again = linear_run(replaying(3, 6, recorded.anchors.at(3)), "layer", 5);
  EXPECT_TRUE(again.steps.empty());
  EXPECT_TRUE(again.has_event("restore_failed", "layer.weight: the anchor has F32[1, 4], the program has F32[1, 5]"));
}

TEST(Replay, ADamagedAnchorIsRefused) {
  const auto recorded = linear_run(recording(3), "layer", 4);
  auto damaged = recorded.anchors.at(3);
  damaged.resize(damaged.size() - 7);
  EXPECT_TRUE(linear_run(replaying(3, 6, damaged), "layer", 4).has_event("restore_failed"));
  EXPECT_TRUE(linear_run(replaying(2, 6, recorded.anchors.at(3)), "layer", 4).has_event("restore_failed", "of step 2"));
}

// --- Answers
// ----------------------------------------------------------------------------------------------------------

TEST(Replay, StopsWhenItIsToldToAndTheProgramEndsOrderly) {
  auto script = replaying(0, 12, {});
  script.answer = [](std::uint64_t step) {
    return protocol::Ack{.step = step,
                         .answer = step == 3 ? protocol::Ack::Answer::stop : protocol::Ack::Answer::go_on};
  };
  FakeRecorder recorder(script);
  train({});
  EXPECT_EQ(recorder.told().steps.size(), 4);
  EXPECT_EQ(recorder.told().bye->how, "closed");
}

class DumpOf : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Replay, DumpOf, ::testing::Values("AdamW", "LBFGS"),
                         [](const auto& about) { return about.param; });

TEST_P(DumpOf, SendsTheTensorsOfTheAskedStep) {
  auto script = replaying(0, 4, {});
  script.welcome.dump_step = 2;
  FakeRecorder recorder(script);
  train({.optimizer = GetParam()});
  const auto& told = recorder.told();
  const auto file = parse_safetensors(told.dumps.at(2), "dump");
  const auto check = [&](const std::string& tensor, Lane lane, std::size_t column) {
    ASSERT_NE(file.find(tensor), nullptr) << tensor;
    EXPECT_EQ(digest(file.find(tensor)->data), told.steps[2].of(lane).digests[column]) << tensor;
  };
  check("weights_in/first.weight", Lane::weights_in, 0);
  check("weights_out/first.weight", Lane::weights_out, 0);
  check("gradients/first.weight", Lane::gradients, 0);
  ASSERT_NE(file.find("batch/0"), nullptr);
  EXPECT_EQ(digest(file.find("batch/0")->data), told.steps[2].of(Lane::batch).items[0].digest);
  EXPECT_EQ(digest(file.find("loss/0")->data), told.steps[2].of(Lane::loss).items[0].digest);
}

TEST(Replay, ADumpThatAnAnswerAsksForHasTheOptimizersState) {
  auto script = replaying(0, 6, {});
  script.answer = [](std::uint64_t step) {
    return protocol::Ack{.step = step,
                         .answer = step == 4 ? protocol::Ack::Answer::dump : protocol::Ack::Answer::go_on};
  };
  FakeRecorder recorder(script);
  train({});
  const auto file = parse_safetensors(recorder.told().dumps.at(4), "dump");
  EXPECT_NE(file.find("optimizer/0/first.weight/exp_avg"), nullptr);
  EXPECT_NE(file.find("gradients/last.bias"), nullptr);
}

}  // namespace
}  // namespace samestep::testing

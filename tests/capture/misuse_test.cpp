// Misuse, and recorders that go away: the training goes on, and what happened is said once.
#include <gmock/gmock.h>
#include <torch/torch.h>

#include <stdexcept>
#include <thread>

#include "fake_recorder.h"
#include "training.h"

namespace samestep::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;
using torch::optim::SGD;
using torch::optim::SGDOptions;

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::logic_error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

struct Fixture {
  Net net;
  SGD optimizer{net->parameters(), SGDOptions(0.1)};
  void pass() {
    optimizer.zero_grad();
    net(torch::randn({4, 6})).sum().backward();
  }
};

// --- Programming errors, the same in every mode
// -----------------------------------------------------------------------

class InEveryMode : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam()) recorder = std::make_unique<FakeRecorder>(recording());
  }
  std::unique_ptr<FakeRecorder> recorder;
  Fixture f;
};
INSTANTIATE_TEST_SUITE_P(Misuse, InEveryMode, ::testing::Bool(),
                         [](const auto& about) { return about.param ? "Recording" : "Off"; });

TEST_P(InEveryMode, TwoSessionsAreRefusedAndOneAfterTheOtherIsFine) {
  {
    Session first{f.net, f.optimizer};
    EXPECT_THAT(message_of([&] { Session second{f.net, f.optimizer}; }), HasSubstr("a session exists already"));
  }
  recorder.reset();
  Session after{f.net, f.optimizer};
}

TEST_P(InEveryMode, KeepAfterStepsAndTwiceUnderOneNameAreRefused) {
  Session session{f.net, f.optimizer};
  const auto keep = [&] {
    session.keep(
        "best", [] { return 1; }, [](int) {});
  };
  keep();
  EXPECT_THAT(message_of(keep), HasSubstr("keep(\"best\") was called twice"));
  const auto steps = session.steps(2);
  EXPECT_THAT(message_of(keep), HasSubstr("must come before steps()"));
  EXPECT_THAT(message_of([&] { (void)session.steps(2); }), HasSubstr("steps() was called twice"));
}

TEST_P(InEveryMode, AnOptimizerMustBeTheSessions) {
  SGD other(f.net->parameters(), SGDOptions(0.1));
  Session session{f.net, f.optimizer};
  for (const auto step : session.steps(1)) {
    f.pass();
    EXPECT_THAT(message_of([&] { step.update(other); }), HasSubstr("was not given to the session"));
    step.update();
  }
}

TEST_P(InEveryMode, WithTwoOptimizersUpdateMustNameOne) {
  Net second;
  SGD other(second->parameters(), SGDOptions(0.1));
  Session session({{"a", f.net.ptr()}, {"b", second.ptr()}}, {&f.optimizer, &other});
  for (const auto step : session.steps(1)) {
    EXPECT_THAT(message_of([&] { step.update(); }), HasSubstr("name the one"));
    f.pass();
    step.update(f.optimizer);
  }
}

TEST_P(InEveryMode, ALoopThatNeverUpdatesDoesNotGoRoundForEver) {
  Session session{f.net, f.optimizer};
  std::uint64_t rounds = 0;
  EXPECT_THAT(message_of([&] {
                for (const auto step : session.steps(5)) rounds += step.number() + 1;
              }),
              HasSubstr("without step.update()"));
  EXPECT_EQ(rounds, 10000);
}

// --- Ways to leave the loop
// -------------------------------------------------------------------------------------------

Told leave_at(std::uint64_t last, const std::function<void()>& how, std::uint64_t steps = 6) {
  FakeRecorder recorder(recording());
  Fixture f;
  try {
    Session session{f.net, f.optimizer};
    for (const auto step : session.steps(steps)) {
      f.pass();
      step.update();
      if (step == last) {
        how();
        break;
      }
    }
  } catch (const std::runtime_error&) {
  }
  return recorder.told();
}

TEST(Leaving, ByBreakIsAnOrderlyEnd) {
  const auto told = leave_at(2, [] {});
  EXPECT_EQ(told.steps.size(), 3);
  EXPECT_EQ(told.bye->how, "closed");
  EXPECT_TRUE(told.has_event("left_early", "before step 6"));
}

TEST(Leaving, ByAnExceptionIsSaid) {
  const auto told = leave_at(2, [] { throw std::runtime_error("out of data"); });
  EXPECT_EQ(told.steps.size(), 3);
  EXPECT_EQ(told.bye->how, "exception");
}

TEST(Leaving, AfterTheLastStepCutsTheLastAnchorEvenByBreak) {
  EXPECT_EQ(leave_at(5, [] {}).anchors.count(6), 1);
  EXPECT_EQ(leave_at(5, [] { throw std::runtime_error("after the last step"); }).anchors.size(), 0);
}

// --- Models that change under way
// -------------------------------------------------------------------------------------

TEST(Changing, AParameterReplacedStartsASegmentWithTheNewTensor) {
  auto model = std::make_shared<torch::nn::Module>();
  auto& weight = model->register_parameter("weight", torch::ones({3}));
  SGD optimizer({weight}, SGDOptions(0.1));
  FakeRecorder recorder(recording());
  {
    Session session{model, optimizer};
    for (const auto step : session.steps(4)) {
      if (step == 2) {
        optimizer.param_groups()[0].params()[0] = torch::full({5}, 2.0).requires_grad_();
      }
      optimizer.zero_grad();
      step.batch(torch::ones({1}));
      optimizer.param_groups()[0].params()[0].sum().backward();
      step.update();
    }
  }
  const auto& told = recorder.told();
  ASSERT_EQ(told.steps.size(), 4);
  ASSERT_EQ(told.layouts.size(), 2);
  EXPECT_EQ(told.layout_of[2], 1);
  EXPECT_THAT(told.names(Lane::weights_in, 1), ::testing::ElementsAre("unnamed.0.0.0", "weight"));
  EXPECT_EQ(told.layouts[1].of(Lane::weights_in)[0].shape, (Shape{5}));
}

TEST(Changing, AParameterFrozenMidwayIsAbsentFromTheGradientsAndKeepsItsColumn) {
  Fixture f;
  FakeRecorder recorder(recording());
  {
    Session session{f.net, f.optimizer};
    for (const auto step : session.steps(4)) {
      if (step == 2) f.net->first->weight.requires_grad_(false);
      f.pass();
      step.update();
    }
  }
  const auto& told = recorder.told();
  EXPECT_EQ(told.layouts.size(), 1);
  EXPECT_EQ(told.steps[1].of(Lane::gradients).presence[0], Presence::present);
  EXPECT_EQ(told.steps[2].of(Lane::gradients).presence[0], Presence::absent);
  EXPECT_EQ(told.steps[2].of(Lane::weights_out).presence[0], Presence::present);
}

// --- Recorders
// --------------------------------------------------------------------------------------------------------

TEST(Recorder, ThatDiesIsMentionedOnceAndTheTrainingEndsAsIfOff) {
  const auto plain = train({});
  auto script = recording();
  script.dies_after = 4;
  FakeRecorder recorder(script);
  CaptureStderr();
  const auto weights = train({});
  EXPECT_EQ(count(GetCapturedStderr(), "the recorder has gone; the training goes on unrecorded"), 1);
  EXPECT_TRUE(equal_bits(weights, plain));
}

TEST(Recorder, ThatDoesNotAnswerIsNeverMoreThanEightStepsBehind) {
  auto script = recording();
  script.answer = [](std::uint64_t) { return std::nullopt; };
  FakeRecorder recorder(script);
  std::thread training([] { train({.steps = 30}); });
  while (recorder.steps_received() < protocol::max_ahead) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(recorder.steps_received(), protocol::max_ahead);
  recorder.hang_up();  // or the program would wait for ever
  training.join();
}

TEST(Recorder, ThatRefusesIsQuotedAndTheSessionIsOff) {
  Script script;
  script.welcome.refusal = "the disk is full";
  FakeRecorder recorder(script);
  CaptureStderr();
  Fixture f;
  Session session{f.net, f.optimizer};
  EXPECT_EQ(GetCapturedStderr(), "samestep: the disk is full\n");
  EXPECT_EQ(session.mode(), Session::Mode::off);
}

// A buffer of an element type without a place in the format; nobody records, so nothing may be pinned either.
TEST(Recorder, OfAModelThatCannotBeRecordedLeavesTheProgramAsItWas) {
  FakeRecorder recorder(recording());
  CaptureStderr();
  Fixture f;
  f.net->register_buffer("odd", torch::zeros({2}, torch::kComplexHalf));
  at::globalContext().setDeterministicAlgorithms(false, false);  // an earlier recording in this process turned it on
  Session session{f.net, f.optimizer};
  EXPECT_EQ(session.mode(), Session::Mode::off);
  EXPECT_THAT(GetCapturedStderr(), AllOf(HasSubstr("cannot record this model"), HasSubstr("ComplexHalf")));
  EXPECT_FALSE(at::globalContext().deterministicAlgorithms());
}

TEST(Recorder, ThatIsNotThereIsSaid) {
  ::setenv(protocol::socket_variable, "/nowhere/socket", 1);
  CaptureStderr();
  {
    Fixture f;
    Session session{f.net, f.optimizer};
    EXPECT_EQ(session.mode(), Session::Mode::off);
  }
  ::unsetenv(protocol::socket_variable);
  EXPECT_THAT(GetCapturedStderr(), AllOf(HasSubstr("no recorder answers at /nowhere/socket"), HasSubstr("unrecorded")));
}

TEST(Recorder, ThatCanKeepNoMoreEndsTheRecordingQuietly) {
  auto script = recording();
  script.answer = [](std::uint64_t step) {
    return protocol::Ack{.step = step, .answer = step < 3 ? protocol::Ack::Answer::go_on : protocol::Ack::Answer::off};
  };
  FakeRecorder recorder(script);
  CaptureStderr();
  train({});
  EXPECT_EQ(GetCapturedStderr(), "");
  EXPECT_LE(recorder.told().steps.size(), 12);
}

TEST(Recorder, MayAskWhereTheSessionStarts) {
  auto script = recording();
  script.welcome.ask_start = true;
  script.begin_at = 40;
  FakeRecorder recorder(script);
  train({.steps = 3});
  const auto& told = recorder.told();
  ASSERT_EQ(told.starts.size(), 1);
  ASSERT_EQ(told.steps.size(), 3);
  EXPECT_EQ(told.steps[0].step, 40);
  EXPECT_EQ(told.steps[0].of(Lane::weights_in).digest, told.starts[0].weights_in);
  EXPECT_EQ(told.starts[0].optimizer_in, std::nullopt);
}

TEST(Recorder, MayAskForAnAnchor) {
  auto script = recording();
  script.answer = [](std::uint64_t step) { return protocol::Ack{.step = step, .cut_anchor = step == 3}; };
  script.welcome.lockstep = true;
  FakeRecorder recorder(script);
  train({.steps = 8});
  EXPECT_THAT(recorder.told().anchors, ::testing::ElementsAre(::testing::Key(5), ::testing::Key(8)));
}

}  // namespace
}  // namespace samestep::testing

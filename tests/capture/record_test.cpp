// What a step's record says, for every optimizer and for models as people build them.
#include <gmock/gmock.h>
#include <torch/torch.h>

#include <set>

#include "fake_recorder.h"
#include "replay/checkpoint/safetensors.h"
#include "training.h"

namespace samestep::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::Not;
using torch::optim::SGD;
using torch::optim::SGDOptions;

Told record(const Plan& plan, std::uint64_t anchor_every = 0) {
  FakeRecorder recorder(recording(anchor_every));
  train(plan);
  return recorder.told();
}

const LaneRecord& lane(const Told& told, std::size_t step, Lane which) {
  return told.steps.at(step).of(which);
}

bool captured(const Told& told, std::size_t step, Lane which) {
  return lane(told, step, which).status == LaneStatus::captured;
}

// --- Every optimizer
// --------------------------------------------------------------------------------------------------

class EveryOptimizer : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Record, EveryOptimizer, ::testing::ValuesIn(optimizer_names),
                         [](const auto& about) { return about.param; });

TEST_P(EveryOptimizer, TrainsTheSameWeightsRecordedOrNot) {
  const Plan plan{.optimizer = GetParam()};
  const auto plain = train(plan);
  FakeRecorder recorder(recording(4));
  EXPECT_TRUE(equal_bits(train(plan), plain));
  EXPECT_EQ(recorder.told().steps.size(), 12);
}

TEST_P(EveryOptimizer, GivesEqualChainsTwice) {
  const Plan plan{.optimizer = GetParam()};
  const auto a = record(plan), b = record(plan);
  EXPECT_EQ(a.steps.back().chain, b.steps.back().chain);
  const auto other = record({.optimizer = GetParam(), .seed = 8});
  EXPECT_NE(a.steps.front().chain, other.steps.front().chain);
}

TEST_P(EveryOptimizer, CapturesEveryLaneAndTheWeightsGoOnWhereTheyEnded) {
  const auto told = record({.optimizer = GetParam()});
  ASSERT_EQ(told.layouts.size(), 1);
  for (std::size_t step = 0; step < told.steps.size(); ++step) {
    for (const auto which :
         {Lane::weights_in, Lane::rng, Lane::batch, Lane::hyper, Lane::loss, Lane::gradients, Lane::weights_out}) {
      EXPECT_TRUE(captured(told, step, which)) << step << " " << name(which);
      EXPECT_NE(lane(told, step, which).digest, Digest{});
    }
    EXPECT_EQ(told.steps[step].step, step);
    if (step == 0) continue;
    EXPECT_EQ(lane(told, step, Lane::weights_in).digests, lane(told, step - 1, Lane::weights_out).digests);
  }
}

TEST_P(EveryOptimizer, ReadsItsStateEverySixteenthStepAndAtAnchors) {
  const auto told = record({.optimizer = GetParam(), .steps = 20}, 6);
  std::set<std::size_t> seen;
  for (std::size_t step = 0; step < 20; ++step) {
    if (captured(told, step, Lane::optimizer)) seen.insert(step);
  }
  EXPECT_THAT(seen, ElementsAre(0, 5, 11, 16, 17, 19));
  EXPECT_EQ(lane(told, 1, Lane::optimizer).reason, AbsentReason::off_schedule);
}

TEST_P(EveryOptimizer, PutsIntoAnAnchorWhatTheLogVouchesFor) {
  const auto told = record({.optimizer = GetParam()}, 5);
  ASSERT_EQ(told.anchors.size(), 3);  // 5, 10 and the end
  const auto file = parse_safetensors(told.anchors.at(5), "anchor");
  for (const auto which : {Lane::weights_out, Lane::optimizer}) {
    const auto& columns = told.layout(4).of(which);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!columns[i].shape || lane(told, 4, which).presence[i] != Presence::present) continue;
      const auto* view = file.find(std::string(name(which)) + "/" + columns[i].name);
      ASSERT_NE(view, nullptr) << columns[i].name;
      EXPECT_EQ(digest(view->data), lane(told, 4, which).digests[i]) << columns[i].name;
      EXPECT_EQ(view->shape, *columns[i].shape);
    }
  }
  ASSERT_NE(file.find("rng/cpu"), nullptr);
  EXPECT_EQ(digest(file.find("rng/cpu")->data), told.steps[4].rng_out.at(0));
}

TEST(OptimizerState, HasAColumnForEveryItemOfItsClass) {
  const auto columns_of = [](const std::string& optimizer) {
    auto names = record({.optimizer = optimizer, .steps = 1}).names(Lane::optimizer);
    std::erase_if(names, [](const std::string& name) { return !name.starts_with("0/first.weight/"); });
    for (auto& name : names) name = name.substr(std::string("0/first.weight/").size());
    return names;
  };
  EXPECT_THAT(columns_of("SGD"), ElementsAre("momentum_buffer"));
  EXPECT_THAT(columns_of("Adam"), ElementsAre("step", "exp_avg", "exp_avg_sq"));
  EXPECT_THAT(columns_of("AdamW"), ElementsAre("step", "exp_avg", "exp_avg_sq"));
  EXPECT_THAT(columns_of("Amsgrad"), ElementsAre("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"));
  EXPECT_THAT(columns_of("RMSprop"), ElementsAre("step", "square_avg", "momentum_buffer", "grad_avg"));
  EXPECT_THAT(columns_of("Adagrad"), ElementsAre("step", "sum"));
  EXPECT_THAT(columns_of("LBFGS"), ElementsAre("func_evals", "n_iter", "t", "prev_loss", "d", "H_diag",
                                               "prev_flat_grad", "old_dirs", "old_stps", "ro", "al"));
}

// --- What a record says
// -----------------------------------------------------------------------------------------------

TEST(Record, DigestsAreBlake3OfTheTensorsBytes) {
  std::vector<at::Tensor> last;
  const auto keep = [&](const Step&, Net& net, torch::optim::Optimizer&) { last = weights_of(*net); };
  const auto told = record({.steps = 3, .after_update = keep});
  EXPECT_THAT(told.names(Lane::weights_out),
              ElementsAre("first.weight", "first.bias", "last.weight", "last.bias", "norm.weight", "norm.bias",
                          "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"));
  ASSERT_EQ(last.size(), lane(told, 2, Lane::weights_out).digests.size());
  for (std::size_t i = 0; i < last.size(); ++i) {
    EXPECT_EQ(lane(told, 2, Lane::weights_out).digests[i], digest_of(last[i])) << i;
  }
}

TEST(Record, ListsTheOptionsThatDifferFromTheClassAndAlwaysTheLearningRate) {
  const auto halve = [](const Step& step, Net&, torch::optim::Optimizer& optimizer) {
    if (step == 1) optimizer.param_groups()[0].options().set_lr(0.005);
  };
  const auto told = record({.optimizer = "AdamW", .steps = 4, .after_update = halve});
  EXPECT_THAT(told.names(Lane::hyper), ElementsAre("0.group0.lr", "0.group0.weight_decay"));
  EXPECT_THAT(lane(told, 1, Lane::hyper).values, ElementsAre(0.01, 0.1));
  EXPECT_THAT(lane(told, 2, Lane::hyper).values, ElementsAre(0.005, 0.1));
}

TEST(Record, SaysWhereItRan) {
  const auto told = record({.steps = 1});
  EXPECT_EQ(told.hello.environment.at("libraries").at("torch"), TORCH_VERSION);
  EXPECT_EQ(told.hello.environment.at("threads").at("intra"), at::get_num_threads());
  EXPECT_EQ(told.hello.environment.at("deterministic").at("algorithms"), true);
  EXPECT_THAT(told.hello.files, Contains(HasSubstr("libtorch_cpu.so")));
  EXPECT_THAT(told.hello.files, Contains(HasSubstr("capture_test")));
  EXPECT_EQ(told.bye->how, "closed");
  EXPECT_EQ(told.bye->steps, 1);
}

TEST(Record, TellsASettingThatChangesMidway) {
  const auto threads = at::get_num_threads();
  const auto change = [&](const Step& step, Net&, torch::optim::Optimizer&) {
    if (step == 1) at::set_num_threads(threads + 1);
  };
  const auto told = record({.steps = 4, .after_update = change});
  at::set_num_threads(threads);
  ASSERT_EQ(told.events.size(), 1);
  EXPECT_EQ(told.events[0].kind, "environment");
  EXPECT_EQ(told.events[0].step, 2);
  EXPECT_THAT(told.events[0].text, HasSubstr("threads.intra: " + std::to_string(threads + 1)));
}

TEST(Record, SummariesComeOnSchedule) {
  const auto told = record({.steps = 35});
  EXPECT_FALSE(lane(told, 31, Lane::gradients).summaries.empty());
  EXPECT_TRUE(lane(told, 33, Lane::gradients).summaries.empty());
  EXPECT_GT(lane(told, 0, Lane::weights_out).summaries.at(0).statistics.norm, 0.1);
  EXPECT_FALSE(lane(told, 34, Lane::weights_out).summaries.empty());  // an anchor is cut at the end
}

TEST(Record, ASeededEditOfOneWeightBetweenStepsShowsInWeightsIn) {
  const auto edit = [](const Step& step, Net& net, torch::optim::Optimizer&) {
    const at::NoGradGuard guard;
    if (step == 2) net->last->weight[1][3] += 1e-6;
  };
  const auto told = record({.steps = 5, .after_update = edit});
  const auto &out = lane(told, 2, Lane::weights_out).digests, &in = lane(told, 3, Lane::weights_in).digests;
  for (std::size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i] == in[i], i != 2) << i;
}

// --- Models as people build them
// --------------------------------------------------------------------------------------

// A loop of `steps` plain steps over `module`, whose forward pass is a function.
template <class Forward>
Told record_loop(const std::shared_ptr<torch::nn::Module>& module, torch::optim::Optimizer& optimizer,
                 std::uint64_t steps, Forward forward) {
  FakeRecorder recorder(recording());
  {
    Session session{module, optimizer};
    for (const auto step : session.steps(steps)) {
      optimizer.zero_grad();
      forward(step).backward();
      step.update();
    }
  }
  return recorder.told();
}

std::shared_ptr<torch::nn::Linear> linear(std::int64_t in, std::int64_t out) {
  return std::make_shared<torch::nn::Linear>(in, out);
}

TEST(Model, TiedFrozenUnownedAndUnnamedParametersHaveTheirPlaces) {
  auto model = std::make_shared<torch::nn::Module>();
  auto used = torch::nn::Linear(4, 4), frozen = torch::nn::Linear(4, 4), idle = torch::nn::Linear(4, 4);
  model->register_module("idle", idle);
  model->register_module("used", used);
  model->register_module("frozen", frozen);
  model->register_parameter("tied", used->weight);
  model->register_buffer("mean", torch::zeros({4}));
  frozen->weight.requires_grad_(false);
  auto loose = torch::ones({4}, torch::requires_grad());
  SGD optimizer({used->weight, used->bias, frozen->weight, loose}, SGDOptions(0.1));
  const auto told = record_loop(model, optimizer, 2, [&](const Step&) {
    return frozen(used(torch::ones({2, 4}))).mul(loose).sum();
  });
  EXPECT_THAT(told.names(Lane::weights_out), ElementsAre("tied", "used.bias", "frozen.weight", "unnamed.0.0.3",
                                                         "idle.weight", "idle.bias", "frozen.bias", "mean"));
  EXPECT_THAT(told.names(Lane::gradients), ElementsAre("tied", "used.bias", "frozen.weight", "unnamed.0.0.3"));
  EXPECT_THAT(lane(told, 0, Lane::gradients).presence,
              ElementsAre(Presence::present, Presence::present, Presence::absent, Presence::present));
  EXPECT_THAT(lane(told, 0, Lane::weights_out).presence, Not(Contains(Presence::absent)));
}

TEST(Model, AnUndefinedGradientIsSaidAndChangesNoTable) {
  auto model = std::make_shared<torch::nn::Module>();
  auto a = torch::nn::Linear(4, 4), b = torch::nn::Linear(4, 4);
  model->register_module("a", a);
  model->register_module("b", b);
  torch::optim::AdamW optimizer(model->parameters(), 0.1);
  const auto told = record_loop(model, optimizer, 4, [&](const Step& step) {
    const auto x = a(torch::ones({2, 4}));
    return (step < 2 ? x : b(x)).sum();  // b takes part from step 2 on
  });
  EXPECT_EQ(told.layouts.size(), 1);
  EXPECT_EQ(lane(told, 0, Lane::gradients).presence[2], Presence::undefined);
  EXPECT_EQ(lane(told, 2, Lane::gradients).presence[2], Presence::present);
  EXPECT_EQ(lane(told, 0, Lane::optimizer).presence[6], Presence::undefined);  // 0/b.weight/step
}

TEST(Model, SparseGradientsAreReadAsIndicesAndValues) {
  auto embedding = torch::nn::Embedding(torch::nn::EmbeddingOptions(20, 4).sparse(true));
  SGD optimizer(embedding->parameters(), SGDOptions(0.1));
  FakeRecorder recorder(recording());
  {
    Session session{embedding, optimizer};
    for (const auto step : session.steps(2)) {
      optimizer.zero_grad();
      embedding(torch::tensor({3, 5, 3})).sum().backward();
      step.update();
    }
  }
  const auto& told = recorder.told();
  ASSERT_EQ(told.steps.size(), 2);
  EXPECT_FALSE(told.layouts.at(0).of(Lane::gradients).at(0).shape.has_value());
  EXPECT_EQ(lane(told, 0, Lane::gradients).digests, lane(told, 1, Lane::gradients).digests);
}

TEST(Model, AccumulationOverMicroBatchesIsOneStep) {
  Net net;
  SGD optimizer(net->parameters(), SGDOptions(0.1));
  FakeRecorder recorder(recording());
  {
    Session session{net, optimizer};
    for (const auto step : session.steps(3)) {
      optimizer.zero_grad();
      for (int micro = 0; micro < 4; ++micro) {
        const auto batch = draw_batch();
        step.batch(batch.x, batch.y);
        auto loss = torch::nn::functional::cross_entropy(net(batch.x), batch.y) / 4;
        step.loss(loss);
        loss.backward();
      }
      step.update();
    }
  }
  const auto& told = recorder.told();
  ASSERT_EQ(told.steps.size(), 3);
  EXPECT_EQ(lane(told, 1, Lane::batch).items.size(), 8);
  EXPECT_EQ(lane(told, 1, Lane::loss).values.size(), 4);
  EXPECT_EQ(lane(told, 1, Lane::weights_in).digests[0], lane(told, 0, Lane::weights_out).digests[0]);
}

TEST(Model, AccumulationOverIterationsIsOneStepToo) {
  Net net;
  SGD optimizer(net->parameters(), SGDOptions(0.1));
  FakeRecorder recorder(recording());
  int iterations = 0;
  {
    Session session{net, optimizer};
    for (const auto step : session.steps(3)) {
      const auto batch = draw_batch();
      step.batch(batch.x, batch.y);
      torch::nn::functional::cross_entropy(net(batch.x), batch.y).backward();
      if (++iterations % 4 == 0) {
        step.update();
        optimizer.zero_grad();
      }
    }
  }
  const auto& told = recorder.told();
  EXPECT_EQ(iterations, 12);
  ASSERT_EQ(told.steps.size(), 3);
  EXPECT_EQ(lane(told, 2, Lane::batch).items.size(), 8);
  EXPECT_TRUE(told.has_event("no_update"));
  EXPECT_EQ(lane(told, 0, Lane::loss).reason, AbsentReason::loss_not_given);
}

TEST(Model, AGanMakesTwoStepsAnIterationEachWithItsOwnTensors) {
  auto generator = linear(2, 4), critic = linear(4, 1);
  torch::optim::Adam of_critic((*critic)->parameters(), 0.01), of_generator((*generator)->parameters(), 0.02);
  FakeRecorder recorder(recording(5));
  std::vector<std::uint64_t> numbers;
  {
    Session session({{"generator", generator->ptr()}, {"critic", critic->ptr()}}, {&of_critic, &of_generator});
    for (const auto step : session.steps(8)) {
      numbers.push_back(step.number());
      const auto noise = torch::randn({5, 2}), real = torch::randn({5, 4});
      step.batch(noise, real);
      of_critic.zero_grad();
      ((*critic)((*generator)(noise).detach()) - (*critic)(real)).mean().backward();
      step.update(of_critic);
      of_generator.zero_grad();
      (-(*critic)((*generator)(noise))).mean().backward();
      step.update(of_generator);
    }
  }
  const auto& told = recorder.told();
  EXPECT_THAT(numbers, ElementsAre(0, 2, 4, 6));
  ASSERT_EQ(told.steps.size(), 8);
  EXPECT_EQ(told.layouts.size(), 1);
  EXPECT_THAT(told.names(Lane::weights_in),
              ElementsAre("critic.weight", "critic.bias", "generator.weight", "generator.bias"));
  EXPECT_THAT(lane(told, 2, Lane::weights_out).presence,
              ElementsAre(Presence::present, Presence::present, Presence::absent, Presence::absent));
  EXPECT_THAT(lane(told, 3, Lane::weights_in).presence,
              ElementsAre(Presence::absent, Presence::absent, Presence::present, Presence::present));
  EXPECT_EQ(told.steps[3].optimizer, 1);
  EXPECT_EQ(lane(told, 3, Lane::batch).reason, AbsentReason::batch_not_given);
  // An anchor amid an iteration could not be started from: it waits for the end.
  EXPECT_THAT(told.anchors, ::testing::Not(Contains(::testing::Key(5))));
  EXPECT_THAT(told.anchors, Contains(::testing::Key(6)));
}

TEST(Model, AClosureOfManyPassesIsOneStepReadBeforeAnyWeightChanges) {
  const auto told = record({.optimizer = "LBFGS", .steps = 2});
  ASSERT_EQ(told.steps.size(), 2);
  EXPECT_GT(lane(told, 0, Lane::batch).items.size(), 2);
  EXPECT_EQ(lane(told, 0, Lane::batch).items.size(), 2 * lane(told, 0, Lane::loss).items.size());
  // P is after the first pass: the gradients are those of the weights that came in.
  torch::manual_seed(7);
  Net net;
  const auto batch = draw_batch();
  torch::nn::functional::cross_entropy(net(batch.x), batch.y).backward();
  EXPECT_EQ(lane(told, 0, Lane::gradients).digests[0], digest_of(net->first->weight.grad()));
}

TEST(Model, ASkippedUpdateKeepsItsNumber) {
  Net net;
  SGD optimizer(net->parameters(), SGDOptions(0.1));
  FakeRecorder recorder(recording());
  {
    Session session{net, optimizer};
    for (const auto step : session.steps(4)) {
      optimizer.zero_grad();
      const auto batch = draw_batch();
      step.batch(batch.x, batch.y);
      torch::nn::functional::cross_entropy(net(batch.x), batch.y).backward();
      step == 1 ? step.skip() : step.update();
    }
  }
  const auto& told = recorder.told();
  ASSERT_EQ(told.steps.size(), 4);
  EXPECT_TRUE(told.steps[1].skipped);
  EXPECT_FALSE(told.steps[2].skipped);
  EXPECT_EQ(lane(told, 1, Lane::weights_out).digests[0], lane(told, 1, Lane::weights_in).digests[0]);
}

TEST(Model, ALoopWithoutBatchHasItsForwardMomentAtTheTop) {
  auto net = linear(3, 1);
  SGD optimizer((*net)->parameters(), SGDOptions(0.1));
  std::vector<Digest> states;
  const auto told = record_loop(net->ptr(), optimizer, 3, [&](const Step&) {
    states.push_back(digest_of(at::detail::getDefaultCPUGenerator().get_state()));
    return (*net)(torch::randn({2, 3})).sum();
  });
  for (std::size_t step = 0; step < 3; ++step) {
    EXPECT_EQ(lane(told, step, Lane::batch).reason, AbsentReason::batch_not_given);
    EXPECT_EQ(lane(told, step, Lane::rng).digests.at(0), states[step]);
  }
}

TEST(Model, HyperParametersTheProgramGivesStandBesideTheOptimizers) {
  Net net;
  SGD optimizer(net->parameters(), SGDOptions(0.1));
  const auto told = record_loop(net.ptr(), optimizer, 3, [&](const Step& step) {
    if (step > 0) step.hyper("temperature", 0.5);
    const auto batch = draw_batch();
    return torch::nn::functional::cross_entropy(net(batch.x), batch.y);
  });
  ASSERT_EQ(told.layouts.size(), 2);  // a new name starts a segment
  EXPECT_THAT(told.names(Lane::hyper, 1), ElementsAre("0.group0.lr", "temperature"));
  EXPECT_THAT(lane(told, 2, Lane::hyper).values, ElementsAre(0.1, 0.5));
}

TEST(Model, ClippingIsRecordedByItsArguments) {
  Net net;
  SGD optimizer(net->parameters(), SGDOptions(0.1));
  FakeRecorder recorder(recording());
  double norm = 0;
  {
    Session session{net, optimizer};
    for (const auto step : session.steps(1)) {
      net(torch::randn({4, 6})).sum().backward();
      norm = step.clip_grad_norm(0.25);
      step.update();
    }
  }
  const auto& told = recorder.told();
  EXPECT_GT(norm, 0.25);
  EXPECT_THAT(told.names(Lane::hyper),
              ElementsAre("0.group0.lr", "clip_grad_norm.max_norm", "clip_grad_norm.norm_type"));
}

struct NoOptions : torch::optim::OptimizerCloneableOptions<NoOptions> {};

class CountingSgd : public torch::optim::Optimizer {
 public:
  explicit CountingSgd(std::vector<at::Tensor> parameters)
      : Optimizer({torch::optim::OptimizerParamGroup(std::move(parameters))}, std::make_unique<NoOptions>()) {}
  at::Tensor step(LossClosure) override {
    const at::NoGradGuard guard;
    for (auto& parameter : param_groups()[0].params()) parameter.sub_(0.1 * parameter.grad());
    return {};
  }
};

TEST(Model, AnUnknownOptimizerLosesOnlyItsStateLane) {
  auto net = linear(3, 1);
  CountingSgd optimizer((*net)->parameters());
  const auto told = record_loop(net->ptr(), optimizer, 2, [&](const Step&) {
    return (*net)(torch::ones({2, 3})).sum();
  });
  EXPECT_EQ(lane(told, 0, Lane::optimizer).reason, AbsentReason::unknown_optimizer);
  EXPECT_TRUE(captured(told, 0, Lane::gradients));
  EXPECT_THAT(told.layouts[0].optimizers.at(0), HasSubstr("CountingSgd"));
}

}  // namespace
}  // namespace samestep::testing

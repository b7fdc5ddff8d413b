// On the way to an anchor: shapes, draws and decisions go as they did, and nothing is computed.
#include "replay/capture/fast_forward.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <bit>

#include "replay/capture/host_reads.h"
#include "replay/run/record.h"

namespace samestep::capture {
namespace {

// A classifier with dropout that drops, a loader that shuffles, and a threshold that decides by the loss.
struct Program {
  torch::nn::Linear first{torch::nn::LinearOptions(8, 16)}, second{torch::nn::LinearOptions(16, 4)};
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<at::Tensor> orders;
  std::vector<double> read;

  [[nodiscard]] std::vector<at::Tensor> weights() const {
    return {first->weight, first->bias, second->weight, second->bias};
  }
  void note(const at::Tensor& tensor) { shapes.push_back(tensor.sizes().vec()); }

  void step() {
    orders.push_back(torch::randperm(32));
    const auto x = torch::randn({32, 8}).index_select(0, orders.back());
    const auto y = torch::randint(4, {32});
    const auto hidden = torch::dropout(torch::relu(first(x)), 0.5, true);
    const auto logits = second(hidden);
    const auto loss = torch::nll_loss(torch::log_softmax(logits, 1), y);
    loss.backward();
    note(logits);
    note(second->weight.grad());
    read.push_back(loss.item<double>());
    const auto sure = logits.index({logits.select(1, 0) > 0.0});
    note(sure);
    if (read.back() > 1.3) torch::rand({1});  // a decision by what was computed
    const at::NoGradGuard no_grad;
    for (const auto& weight : weights()) {
      weight.sub_(weight.grad(), 0.1);
      weight.mutable_grad() = at::Tensor();
    }
  }
};

// What a run of the program came by, and the generator's state at its end.
struct Course {
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<at::Tensor> orders;
  std::vector<double> read;
  at::Tensor generator;

  Course(Program& program, int steps) {
    for (int i = 0; i < steps; ++i) program.step();
    shapes = program.shapes;
    orders = program.orders;
    read = program.read;
    generator = at::detail::getDefaultCPUGenerator().get_state();
  }
};

class FastForwardTest : public ::testing::Test {
 protected:
  static constexpr int steps = 6;
  void SetUp() override { torch::manual_seed(5); }

  // Computed, with what was read of it.
  Course computed(std::vector<std::uint64_t>& reads) {
    Program program;
    const HostReads noting;
    Course course(program, steps);
    reads = HostReads::take();
    return course;
  }
};

TEST_F(FastForwardTest, TakesTheProgramWhereItWouldHaveGone) {
  std::vector<std::uint64_t> reads;
  const auto was = computed(reads);
  torch::manual_seed(5);
  Program program;
  const auto before = program.first->weight.detach().clone();
  const FastForward forward(program.weights());
  HostReads::give(reads);
  const Course now(program, steps);
  EXPECT_EQ(HostReads::left(), 0U);
  EXPECT_EQ(HostReads::short_of(), 0U);
  EXPECT_EQ(now.shapes, was.shapes);
  EXPECT_EQ(now.read, was.read);
  for (int i = 0; i < steps; ++i) EXPECT_TRUE(torch::equal(now.orders[i], was.orders[i])) << i;
  EXPECT_TRUE(torch::equal(now.generator, was.generator));
  EXPECT_TRUE(forward.is_stale(program.first->weight));
}

TEST_F(FastForwardTest, ComputesNothingOfWhatDependsOnWeights) {
  Program program;
  const auto before = program.first->weight.detach().clone();
  {
    const FastForward forward(program.weights());
    HostReads::give({});
    program.step();
    EXPECT_GT(HostReads::short_of(), 0U);  // nothing was given: the program asked for more
    const auto answered = program.first->weight.add(1.0);
    EXPECT_TRUE(forward.is_stale(answered));
    EXPECT_EQ(answered.sizes(), program.first->weight.sizes());
  }
  EXPECT_TRUE(torch::equal(program.first->weight.detach(), before));
}

TEST_F(FastForwardTest, LeavesDataAlone) {
  Program program;
  const FastForward forward(program.weights());
  auto data = torch::arange(6, torch::kFloat).view({2, 3});
  EXPECT_FALSE(forward.is_stale(data.mul(2.0)));
  EXPECT_EQ(data.mul(2.0).contiguous().data_ptr<float>()[5], 10.0F);
  EXPECT_EQ(data.index({data > 2.0}).size(0), 3);
  // A buffer that takes up something stale becomes stale, and fresh again when it is written over.
  auto bank = torch::zeros({8, 16});
  bank.copy_(program.first->weight.detach().t());
  EXPECT_TRUE(forward.is_stale(bank));
  bank.zero_();
  EXPECT_FALSE(forward.is_stale(bank));
}

TEST_F(FastForwardTest, ViewsShareTheirStoragesFate) {
  Program program;
  const FastForward forward(program.weights());
  EXPECT_TRUE(forward.is_stale(program.first->weight.t()));
  EXPECT_TRUE(forward.is_stale(program.first->weight.detach().slice(0, 2, 4).flatten()));
}

TEST_F(FastForwardTest, OperatorsComputeAgainWhenItIsOver) {
  Program program;
  { const FastForward forward(program.weights()); }
  const auto twice = program.first->weight.detach() * 2;
  EXPECT_EQ(twice.data_ptr<float>()[3], program.first->weight.data_ptr<float>()[3] * 2);
  EXPECT_GT(program.first->weight.abs().sum().item<float>(), 0.0F);
}

TEST_F(FastForwardTest, RandomOperatorsDrawAsManyNumbersFromWhatIsStale) {
  const auto draws = [](const at::Tensor& weight) {
    torch::manual_seed(3);
    torch::bernoulli(weight.abs().clamp(0, 1));
    torch::multinomial(torch::softmax(weight, 1), 2);
    at::normal(weight, 1.0);
    return at::detail::getDefaultCPUGenerator().get_state();
  };
  Program program;
  const auto was = draws(program.first->weight.detach());
  const FastForward forward(program.weights());
  EXPECT_TRUE(torch::equal(draws(program.first->weight.detach()), was));
}

TEST(HostReadsTest, NotesNumbersTruthsAndLengths) {
  const HostReads noting;
  const auto tensor = torch::tensor({1.5, 0.0, -2.0});
  tensor[2].item<double>();
  torch::equal(tensor, tensor);
  tensor.nonzero();
  torch::tensor({std::int64_t{-7}}).item<std::int64_t>();
  EXPECT_EQ(HostReads::take(), (std::vector<std::uint64_t>{std::bit_cast<std::uint64_t>(-2.0), 1, 2,
                                                           static_cast<std::uint64_t>(std::int64_t{-7})}));
}

TEST(HostReadsTest, DoesNotNoteWhatOperatorsReadInside) {
  const HostReads noting;
  auto tensor = torch::zeros({4});
  tensor.masked_fill_(torch::ones({4}, torch::kBool), torch::tensor(3.0F));
  tensor.fill_(torch::tensor(2.0F));
  EXPECT_TRUE(HostReads::take().empty());
  HostReads::pause();
  tensor[0].item<float>();
  HostReads::resume();
  EXPECT_TRUE(HostReads::take().empty());
}

TEST(HostReadsTest, KeepsABoundedNumberAndSaysSo) {
  const HostReads noting;
  for (std::size_t i = 0; i < max_host_reads + 1; ++i) HostReads::note(i);
  bool lost = false;
  EXPECT_EQ(HostReads::take(&lost).size(), max_host_reads);
  EXPECT_TRUE(lost);
}

}  // namespace
}  // namespace samestep::capture

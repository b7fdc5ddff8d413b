#include "bisect/noise.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace samestep {
namespace {

constexpr std::array<double, 13> rates{0, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45};
constexpr double quiet_prior = 0.9;

// mantissa * 2^exponent: a product of a thousand probabilities is too small for a double.
struct Scaled {
  double mantissa = 1;
  int exponent = 0;
  void times(double factor, std::uint64_t often) {
    for (std::uint64_t i = 0; i < often; ++i) {
      int shift = 0;
      mantissa = std::frexp(mantissa * factor, &shift);  // exact
      exponent += shift;
      if (mantissa == 0) return;
    }
  }
};

}  // namespace

// Weights of `rates` after `wrong` of `told` answers were wrong, summing to 1.
std::vector<double> Noise::posterior(std::uint64_t wrong, std::uint64_t told) const {
  std::vector<Scaled> terms;
  std::optional<int> top;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    const double prior = i > 0 ? (1 - quiet_prior) / (rates.size() - 1) : flaky_seen_ ? 0 : quiet_prior;
    Scaled term;
    term.times(prior, 1);
    term.times(rates[i], wrong);
    term.times(1 - rates[i], told - wrong);
    if (term.mantissa != 0) top = std::max(top.value_or(term.exponent), term.exponent);
    terms.push_back(term);
  }
  std::vector<double> weights;
  double sum = 0;
  for (const Scaled& term : terms) {
    weights.push_back(term.mantissa == 0 ? 0 : std::ldexp(term.mantissa, std::max(term.exponent - *top, -2000)));
    sum += weights.back();
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

std::vector<double> Noise::likelihoods(std::uint64_t least, std::uint64_t most, std::uint64_t told) const {
  std::vector<double> terms = posterior(least, told);
  std::vector<double> result;
  for (std::uint64_t wrong = least; wrong <= most; ++wrong) {
    double sum = 0;
    for (std::size_t i = 0; i < terms.size(); ++i) {
      sum += terms[i];
      terms[i] *= rates[i] / (1 - rates[i]);
    }
    result.push_back(sum);
  }
  for (double& value : result) value = std::min(1.0, value / result.front());
  return result;
}

double Noise::error_rate(std::uint64_t wrong, std::uint64_t told) const {
  if (told == 0) return 0;
  const std::vector<double> weights = posterior(wrong, told);
  double mean = 0;
  for (std::size_t i = 0; i < rates.size(); ++i) mean += weights[i] * rates[i];
  return mean;
}

double Noise::doubt(std::uint64_t minority, std::uint64_t majority, std::uint64_t wrong, std::uint64_t told) const {
  const std::vector<double> weights = posterior(wrong, told);
  double against = 0;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    double ratio = 1;
    for (std::uint64_t k = minority; k < majority; ++k) ratio *= rates[i] / (1 - rates[i]);
    against += weights[i] * ratio;
  }
  return against / (1 + against);
}

}  // namespace samestep

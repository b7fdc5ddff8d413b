#include "bisect/noise.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace samestep {
namespace {

constexpr std::array<double, 13> rates{0, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45};
constexpr double quiet_prior = 0.7;

// The rest in proportion to p^2: high rates need the weight, or programs that have looked quiet so far are believed too
// soon. With it, and with stop_risk, the share of wrong accusations stays below accusation_risk at each rate by itself.
double prior(std::size_t i) {
  if (i == 0) return quiet_prior;
  double sum = 0;
  for (const double rate : rates) sum += rate * rate;
  return (1 - quiet_prior) * rates[i] * rates[i] / sum;
}

// mantissa * 2^exponent: a product of a thousand probabilities is too small for a double.
struct Scaled {
  double mantissa = 1;
  int exponent = 0;
  void times(const Scaled& factor) {
    int shift = 0;
    mantissa = std::frexp(mantissa * factor.mantissa, &shift);  // exact but for the product's rounding
    exponent = mantissa == 0 ? 0 : exponent + factor.exponent + shift;
  }
};

Scaled power(double base, std::uint64_t exponent) {
  Scaled result;
  Scaled square{base, 0};
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result.times(square);
    square.times(Scaled(square));
  }
  return result;
}

}  // namespace

// Weights of `rates` after `wrong` of `told` answers were wrong, summing to 1.
std::vector<double> Noise::posterior(std::uint64_t wrong, std::uint64_t told) const {
  std::vector<Scaled> terms;
  std::optional<int> top;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    Scaled term{i == 0 && flaky_seen_ ? 0 : prior(i), 0};
    term.times(power(rates[i], wrong));
    term.times(power(1 - rates[i], told - wrong));
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

#include "bisect/noise.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace samestep {
namespace {

constexpr std::array<double, 13> rates{0, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45};
constexpr double quiet_prior = 0.5;

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

Scaled sum(const Scaled& a, const Scaled& b) {
  if (a.mantissa == 0 || b.mantissa == 0) return a.mantissa == 0 ? b : a;
  const Scaled& more = a.exponent >= b.exponent ? a : b;
  const Scaled& less = a.exponent >= b.exponent ? b : a;
  Scaled result{more.mantissa + std::ldexp(less.mantissa, std::max(less.exponent - more.exponent, -2000)), 0};
  result.times({1, more.exponent});
  return result;
}

// Of `wrong` answers that are wrong at `rate` and `right` ones that are not.
Scaled chance(double rate, std::uint64_t wrong, std::uint64_t right) {
  Scaled result = power(rate, wrong);
  result.times(power(1 - rate, right));
  return result;
}

// By place in `rates`, before anything was told.
std::vector<Scaled> priors(bool flaky_seen) {
  std::vector<Scaled> terms;
  for (std::size_t i = 0; i < rates.size(); ++i) terms.push_back({i == 0 && flaky_seen ? 0 : prior(i), 0});
  return terms;
}

std::vector<double> normalised(const std::vector<Scaled>& terms) {
  std::optional<int> top;
  for (const Scaled& term : terms) {
    if (term.mantissa != 0) top = std::max(top.value_or(term.exponent), term.exponent);
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

}  // namespace

// Weights of `rates` after `wrong` of `told` answers were wrong, summing to 1.
std::vector<double> Noise::posterior(std::uint64_t wrong, std::uint64_t told) const {
  std::vector<Scaled> terms = priors(flaky_seen_);
  for (std::size_t i = 0; i < terms.size(); ++i) terms[i].times(chance(rates[i], wrong, told - wrong));
  return normalised(terms);
}

std::vector<double> Noise::rates_of(const std::vector<Split>& revisions) const {
  std::vector<Scaled> terms = priors(flaky_seen_);
  for (std::size_t i = 0; i < terms.size(); ++i) {
    for (const auto& [minority, majority] : revisions) {
      terms[i].times(sum(chance(rates[i], minority, majority), chance(rates[i], majority, minority)));
    }
  }
  return normalised(terms);
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

double Noise::doubt(const Split& revision, const std::vector<double>& rate_weights) {
  double doubt = 0;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    double against = 1;  // the minority's odds
    for (std::uint64_t k = revision.minority; k < revision.majority; ++k) against *= rates[i] / (1 - rates[i]);
    doubt += rate_weights[i] * against / (1 + against);
  }
  return doubt;
}

}  // namespace samestep

#include "cli/answer.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <iostream>

#include "replay/player/anchor_bytes.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"

namespace samestep::cli {
namespace {

Verdict tampered(const TamperedInput& error) {
  Verdict verdict;
  verdict.outcome = Outcome::tampered;
  verdict.evidence.push_back(error.what());
  if (const auto* anchor = dynamic_cast<const TamperedAnchor*>(&error)) {
    verdict.step = anchor->step;
    verdict.tensor = anchor->tensor;
    verdict.lane = lane_from_name(anchor->tensor.substr(0, anchor->tensor.find('/')));
  }
  return verdict;
}

}  // namespace

void print(const nlohmann::json& json) {
  // A path that is not UTF-8 must not make the answer unprintable.
  std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

int answer(const Verdict& verdict, bool json) {
  if (json) {
    print(to_json(verdict));
  } else {
    std::cout << verdict << std::flush;
  }
  return exit_code(verdict.outcome);
}

int fail(bool json, const std::string& what) {
  std::cerr << "samestep: " << printable(what) << '\n';
  if (json) print({{"verdict", nullptr}, {"error", what}});
  return exit_usage;
}

int guarded(bool json, const std::function<int()>& verb) {
  try {
    return verb();
  } catch (const TamperedInput& error) {
    return answer(tampered(error), json);
  } catch (const std::exception& error) {
    return fail(json, error.what());
  }
}

std::string footer(const std::string& example, const std::string& exit_codes) {
  return fmt::format("Example:\n  {}\n\nExit codes:\n  {}", example, exit_codes);
}

std::string utc(std::int64_t nanoseconds) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(static_cast<std::time_t>(nanoseconds / 1'000'000'000)));
}

}  // namespace samestep::cli

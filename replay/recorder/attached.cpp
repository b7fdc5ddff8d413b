#include "replay/recorder/attached.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <iostream>
#include <nlohmann/json.hpp>

namespace samestep {
namespace {

// Standard input is a pipe whose other end the program holds, and for longer than it lives what it forked. A word in
// it, or its end, is the end.
class Attached : public Running {
 public:
  [[nodiscard]] int descriptor() const override { return STDIN_FILENO; }
  [[nodiscard]] bool ended() override {
    std::array<char, 256> ignored;
    const auto count = ::read(STDIN_FILENO, ignored.data(), ignored.size());
    return count >= 0 || (count < 0 && errno != EINTR && errno != EAGAIN);
  }
  void pass_on(int) override {}  // the program is not ours to signal
  [[nodiscard]] pid_t process() const override { return -1; }
  void stop() override {}
  [[nodiscard]] Ending reap() override { return {}; }
};

nlohmann::json own_variables(const std::vector<std::string>& environment) {
  nlohmann::json variables = nlohmann::json::object();
  for (const std::string& entry : environment) {
    const auto equals = entry.find('=');
    if (entry.starts_with("SAMESTEP_")) variables[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  return variables;
}

}  // namespace

std::unique_ptr<Running> AttachedProgram::start(const Start& start, Ending& failed) {
  std::cout << nlohmann::json{{"environment", own_variables(start.environment)}}.dump(
                   -1, ' ', false, nlohmann::json::error_handler_t::replace)
            << std::endl;
  if (std::cout) return std::make_unique<Attached>();
  failed = {Ending::Kind::not_started, 126, "the program that asked for a recorder does not listen any more"};
  return nullptr;
}

}  // namespace samestep

#include "cli/junit_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "replay/run/error.h"

namespace samestep::cli {
namespace {

void write(const std::string& file, const JUnitSuite& suite) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << to_xml(suite) << std::flush;
  if (!out) throw BrokenInput(fmt::format("Writing the report {} failed: {}", file, std::strerror(errno)));
}

JUnitCase without_answer(const std::string& why) {
  return {"verdict", JUnitCase::Result::errored, "error", why, ""};
}

JUnitCase tampered(const std::string& why) {
  return {"verdict", JUnitCase::Result::failed, "tampered", why, ""};
}

}  // namespace

void add_junit(CLI::App* verb, std::string& file) {
  verb->add_option("--junit", file, "write the answer to this file as JUnit's XML, for a build server")
      ->type_name("FILE");
}

int with_junit(const std::string& file, const std::string& name, const std::string& about,
               const std::function<int(const WriteCases&)>& verb) {
  if (file.empty()) return verb([](const std::vector<JUnitCase>&) {});
  write(file, {name, about, {without_answer("samestep was ended before it had an answer")}});
  try {
    return verb([&](std::vector<JUnitCase> cases) { write(file, {name, about, std::move(cases)}); });
  } catch (const TamperedInput& error) {
    write(file, {name, about, {tampered(error.what())}});
    throw;
  } catch (const std::exception& error) {
    write(file, {name, about, {without_answer(error.what())}});
    throw;
  }
}

}  // namespace samestep::cli

// Answers as JUnit's XML, which build servers show beside other tests. What is written is what Jenkins' and GitLab's
// readers have in common: testsuites, testsuite, testcase; failure, error and skipped with a message. No times and no
// host: equal answers are equal bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "replay/compare/verdict.h"

namespace samestep {

struct JUnitCase {
  // `errored`: nothing could be concluded; no build server takes it for a success either.
  enum class Result : std::uint8_t { passed, failed, errored, skipped };
  std::string name;
  Result result = Result::passed;
  std::string type;     // of a failure or an error, e.g. "diverged"
  std::string message;  // one line; of a passed case not shown
  std::string text;     // more lines; of a case that failed or erred
};

struct JUnitSuite {
  std::string name;   // "samestep replay"
  std::string about;  // the class name of each case: the run, the range of commits
  std::vector<JUnitCase> cases;
};

// Any bytes may stand in the texts: what XML cannot hold, or could act on a terminal, is written out (printable()).
[[nodiscard]] std::string to_xml(const JUnitSuite& suite);

// The verdict, then each lane: equal ones pass, those that differ fail, those that were not compared throughout are
// skipped. `untestable`: the program did not start, which is no verdict.
[[nodiscard]] std::vector<JUnitCase> junit_cases(const Verdict& verdict, bool untestable = false);

}  // namespace samestep

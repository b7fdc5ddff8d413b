// Writes the golden run of the present format version: make_golden tests/golden/run-v1
// Run it once a released version and commit what it writes; a golden run is never written again, for its purpose is
// that files of that day stay readable (CONTRIBUTING.md, "Changing the format").
#include <cstdio>
#include <exception>

#include "tests/run/tiny_run.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_golden FOLDER\n");
    return 2;
  }
  try {
    samestep::write_tiny_run(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_golden: %s\n", error.what());
    return 2;
  }
}

#!/usr/bin/env bash
# Sets up everything and runs every test: sanitizers, fuzzers and lint in a short form first, then the whole suite, so
# that the last line is ctest's own. SAMESTEP_QUICK=1 leaves out all but the suite.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
PATH=$PWD/.venv/bin:$PATH
if [ -z "${SAMESTEP_QUICK:-}" ]; then
  scripts/sanitize.sh
  scripts/fuzz.sh "${SAMESTEP_FUZZ_SECONDS:-20}"
  scripts/tidy.sh kernels/*.cpp replay/checkpoint/*.cpp
fi
cmake --build --preset release -j "${SAMESTEP_JOBS:-2}"
# Two programs of two threads each share two cores: a thread that spins while it waits would hold up the other program.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
ctest --test-dir build/release -j "${SAMESTEP_JOBS:-2}" --output-on-failure --no-tests=error

#!/usr/bin/env bash
# Runs the tests of what reads hostile bytes under the address and undefined-behaviour sanitizers, and of what has threads
# under the thread sanitizer. The short form leaves out what takes minutes there; SAMESTEP_FULL=1 runs everything but
# what links LibTorch.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
export UBSAN_OPTIONS=print_stacktrace=1 LSAN_OPTIONS=suppressions=$PWD/tests/leaks.supp:print_suppressions=0
run() {  # PRESET TARGETS: builds the test programs named and runs them
  local preset=$1 targets=$2 target
  echo "sanitize: $preset: $targets"
  cmake --preset "$preset" >/dev/null
  # shellcheck disable=SC2086
  cmake --build --preset "$preset" -j "${SAMESTEP_JOBS:-2}" --target $targets | tail -n 1
  for target in $targets; do
    "$(find "build/$preset/tests" -name "$target" -type f)" --gtest_brief=1
  done
}
if [ -n "${SAMESTEP_FULL:-}" ]; then
  for preset in asan tsan; do
    cmake --preset "$preset" && cmake --build --preset "$preset" -j "${SAMESTEP_JOBS:-2}"
    ctest --test-dir "build/$preset" --output-on-failure --no-tests=error
  done
  exit
fi
export SAMESTEP_DAMAGE_FLIPS=${SAMESTEP_DAMAGE_FLIPS:-300}
# In the fuzzers' build, which is made anyway.
run fuzz "run_test damage_test checkpoint_test compare_tests protocol_test"
run tsan "server_test"

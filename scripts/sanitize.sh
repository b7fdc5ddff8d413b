#!/usr/bin/env bash
# Builds everything but what links LibTorch under the address and undefined-behaviour sanitizers and runs its tests;
# then the threaded parts under the thread sanitizer.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
run() {  # PRESET CTEST-ARGUMENTS...
  local preset=$1; shift
  echo "sanitize: $preset"
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset" -j "${SAMESTEP_JOBS:-2}" | tail -n 1
  ctest --test-dir "build/$preset" --output-on-failure --no-tests=error "$@" | tail -n 25
}
# HDF5 keeps a free list until exit; that is not a leak of ours.
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
export SAMESTEP_DAMAGE_FLIPS=${SAMESTEP_DAMAGE_FLIPS:-1000} SAMESTEP_KILLS=${SAMESTEP_KILLS:-20}
run asan -LE system
run tsan -L threads

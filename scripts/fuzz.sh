#!/usr/bin/env bash
# Runs every fuzz target for a while: scripts/fuzz.sh [SECONDS [TARGET...]]. Finds are kept in build/fuzz/corpus/ and seed
# the next run; an input that crashes a reader is left in build/fuzz/crashes/ and named.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
seconds=${1:-60}
shift || true
command -v clang++-14 >/dev/null || { echo "fuzz: clang++-14 is missing. Install it with: apt-get install clang-14" >&2; exit 2; }
cmake --preset fuzz >/dev/null
targets=(frame_fuzz manifest_fuzz record_fuzz safetensors_fuzz)
[ $# -gt 0 ] && targets=("$@")
cmake --build --preset fuzz -j "${SAMESTEP_JOBS:-2}" --target fuzz_seeds "${targets[@]}" | tail -n 1
bin=build/fuzz/tests/fuzz
"$bin/fuzz_seeds" build/fuzz/seeds
mkdir -p build/fuzz/crashes
for target in "${targets[@]}"; do
  mkdir -p "build/fuzz/corpus/$target" "build/fuzz/seeds/$target"
  echo "fuzz: $target, $seconds s"
  "$bin/$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="build/fuzz/crashes/$target-" "build/fuzz/corpus/$target" "build/fuzz/seeds/$target" \
    >"build/fuzz/$target.log" 2>&1 || { tail -n 40 "build/fuzz/$target.log"; echo "fuzz: $target failed" >&2; exit 1; }
done
echo "fuzz: ${#targets[@]} targets, nothing found"

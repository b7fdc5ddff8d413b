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
targets=(distribution_fuzz frame_fuzz manifest_fuzz record_fuzz safetensors_fuzz transcript_fuzz)
[ $# -gt 0 ] && targets=("$@")
cmake --build --preset fuzz -j "${SAMESTEP_JOBS:-2}" --target fuzz_seeds "${targets[@]}" | tail -n 1
bin=build/fuzz/tests/fuzz
"$bin/fuzz_seeds" build/fuzz/seeds
mkdir -p build/fuzz/crashes
fuzz() {  # TARGET
  mkdir -p "build/fuzz/corpus/$1" "build/fuzz/seeds/$1"
  echo "fuzz: $1, $seconds s"
  "$bin/$1" -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="build/fuzz/crashes/$1-" "build/fuzz/corpus/$1" "build/fuzz/seeds/$1" \
    >"build/fuzz/$1.log" 2>&1 || { tail -n 40 "build/fuzz/$1.log"; echo "fuzz: $1 failed" >&2; exit 1; }
}
export -f fuzz
export bin seconds
printf '%s\n' "${targets[@]}" | xargs -P "${SAMESTEP_JOBS:-2}" -I{} bash -euo pipefail -c 'fuzz {}'
echo "fuzz: ${#targets[@]} targets, nothing found"

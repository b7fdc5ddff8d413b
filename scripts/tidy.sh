#!/usr/bin/env bash
# clang-tidy (.clang-tidy) over the sources named, or over every source that includes no LibTorch; warnings are errors.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
cmake --preset tidy >/dev/null
if [ $# -eq 0 ]; then
  mapfile -t sources < <(git ls-files 'kernels/*.cpp' 'replay/run/*.cpp' 'replay/checkpoint/*.cpp' 'replay/compare/*.cpp' \
    'replay/recorder/*.cpp' 'replay/player/*.cpp' 'replay/view/*.cpp' 'replay/doctor/*.cpp' 'replay/resume/*.cpp' 'bisect/*.cpp' 'cli/*.cpp')
else
  sources=("$@")
fi
echo "tidy: ${#sources[@]} sources"
printf '%s\0' "${sources[@]}" | xargs -0 -n 4 -P "${SAMESTEP_JOBS:-2}" clang-tidy-14 -p build/tidy --quiet 2>/dev/null

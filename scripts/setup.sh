#!/usr/bin/env bash
# Sets up everything that building, testing and the demo need, on a fresh Debian 12 machine (x86-64), as root or with
# sudo; builds the release preset and leaves `samestep` and `samestep-train` in .venv/bin. Idempotent: what is there
# and current is not done again.
#
#   scripts/setup.sh                                  downloads its own torch into .venv
#   SAMESTEP_PYTHON=/path/to/python scripts/setup.sh  uses the torch (2.11 to 2.15) of that Python instead
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
venv=$root/.venv

say() { printf '%s\n' "setup: $*"; }
stop() { printf '%s\n' "setup: $*" >&2; exit 1; }

# --- what is missing ----------------------------------------------------------------------------------------------
stamp_of() { cat "$@" | sha256sum | cut -d' ' -f1; }
stamped() { [ -f "$venv/.stamp-$1" ] && [ "$(cat "$venv/.stamp-$1")" = "$2" ]; }

missing_packages() {
  local package
  grep -v '^#' scripts/debian-packages.txt | while read -r package; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || echo "$package"
  done
}

[ "$(uname -m)" = x86_64 ] || stop "this machine is $(uname -m); the pinned packages are for x86_64"
command -v dpkg-query >/dev/null || stop "no dpkg here: install by hand what scripts/debian-packages.txt lists, then build with cmake --preset release"
packages=$(missing_packages | tr '\n' ' ')
tools_stamp=$(stamp_of scripts/requirements-tools.txt)
torch_stamp=$(stamp_of scripts/requirements-torch.txt)
trainers_stamp=$(stamp_of scripts/requirements-trainers.txt)
need_tools=1; stamped tools "$tools_stamp" && need_tools=0
need_torch=1; { [ -n "${SAMESTEP_PYTHON:-}" ] || stamped torch "$torch_stamp"; } && need_torch=0
need_trainers=1; { [ -n "${SAMESTEP_PYTHON:-}" ] || stamped trainers "$trainers_stamp"; } && need_trainers=0
need_build=1; [ -x "$venv/bin/samestep" ] && [ -x "$venv/bin/samestep-train" ] && need_build=0

# --- say what it will take, and stop where the disk is too small --------------------------------------------------
download=0 disk=0 minutes=1
[ -n "$packages" ] && download=$((download + 130)) disk=$((disk + 900)) minutes=$((minutes + 1))
[ $need_tools = 1 ] && download=$((download + 170)) disk=$((disk + 600)) minutes=$((minutes + 1))
[ $need_torch = 1 ] && download=$((download + 3000)) disk=$((disk + 5400)) minutes=$((minutes + 3))
[ $need_trainers = 1 ] && download=$((download + 120)) disk=$((disk + 400)) minutes=$((minutes + 1))
[ $need_build = 1 ] && disk=$((disk + 1500)) minutes=$((minutes + 6))
say "to download: about $download MB; disk: about $disk MB; time: about $minutes min (2 cores)"
free=$(df -Pm "$root" | awk 'NR == 2 {print $4}')
[ "$free" -ge $((disk + 200)) ] || stop "only $free MB free in $root, $((disk + 200)) MB needed: make room, then run this again"

# --- 1. Debian packages -------------------------------------------------------------------------------------------
if [ -n "$packages" ]; then
  say "[1/4] Debian packages: $packages"
  as_root=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || stop "not root and no sudo here; as root: apt-get install $packages"
    as_root=sudo
  fi
  export DEBIAN_FRONTEND=noninteractive
  $as_root apt-get update -qq
  # shellcheck disable=SC2086
  $as_root apt-get install -y -qq --no-install-recommends $packages >/dev/null || stop "apt-get could not install: $packages"
else
  say "[1/4] Debian packages: all there"
fi

# --- 2. Python packages -------------------------------------------------------------------------------------------
install_locked() {  # NAME STAMP: the closure in scripts/requirements-NAME.txt, every file by its digest
  "$venv/bin/python" -m pip install --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --progress-bar off -q -r "scripts/requirements-$1.txt" || stop "pip could not install scripts/requirements-$1.txt"
  # Where PYTHONDONTWRITEBYTECODE is set pip leaves no byte code, and every later process would compile torch anew.
  # (-x: torch carries a test file in a newer Python's syntax.)
  "$venv/bin/python" -m compileall -q -j 2 -x '/testing/_internal/' "$venv/lib" || stop "$venv/lib could not be byte-compiled"
  echo "$2" >"$venv/.stamp-$1"
}
[ -x "$venv/bin/python" ] || python3.11 -m venv "$venv"
if [ $need_tools = 1 ]; then say "[2/4] CMake, Ninja, the CUDA compiler (170 MB)"; install_locked tools "$tools_stamp"
else say "[2/4] CMake, Ninja, the CUDA compiler: all there"; fi
if [ $need_torch = 1 ]; then say "[3/4] torch 2.14.1 with the libraries it brings (3 GB)"; install_locked torch "$torch_stamp"
else say "[3/4] torch: ${SAMESTEP_PYTHON:-all there}"; fi
if [ $need_trainers = 1 ]; then say "      the trainers that the tests record: transformers, lightning and others (120 MB)"; install_locked trainers "$trainers_stamp"; fi
torch_python=${SAMESTEP_PYTHON:-$venv/bin/python}
"$torch_python" -c 'import importlib.metadata as m; v = m.version("torch"); t = tuple(map(int, v.split(".")[:2])); exit(0 if (2, 11) <= t <= (2, 15) else "torch " + v)' \
  || stop "$torch_python has no torch 2.11 to 2.15: name another with SAMESTEP_PYTHON, or leave it unset"

# --- 3. the build -------------------------------------------------------------------------------------------------
say "[4/4] building the release preset's programs"
PATH=$venv/bin:$PATH
cmake --preset release -DSAMESTEP_PYTHON="$torch_python" -DCMAKE_INSTALL_PREFIX="$venv" >build-setup.log 2>&1 \
  || { tail -n 20 build-setup.log >&2; stop "configuring failed; all of it: $root/build-setup.log"; }
if [ -t 1 ]; then cmake --build --preset release -j "${SAMESTEP_JOBS:-2}" --target samestep samestep-train samestep_cuda samestep_python samestep_api
else cmake --build --preset release -j "${SAMESTEP_JOBS:-2}" --target samestep samestep-train samestep_cuda samestep_python samestep_api >build-setup.log 2>&1 || { tail -n 40 build-setup.log >&2; stop "building failed; all of it: $root/build-setup.log"; }
fi
cmake --install build/release --component programs --strip >build-setup.log
cmake --install build/release --component api >>build-setup.log
if [ -z "${SAMESTEP_PYTHON:-}" ]; then
  cmake --install build/release --component python --strip \
    --prefix "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" >>build-setup.log
else
  say "$torch_python is left as it is; to record Python scripts with it: $torch_python -m pip install $root"
fi
"$venv/bin/python" scripts/fetch_data.py "$venv/share/samestep"
rm -f build-setup.log
say "done: $venv/bin/samestep, $venv/bin/samestep-train"

#!/usr/bin/env bash
# Sets up everything, then: trains a GPT on real text while recording it, replays the middle of the run bit for bit, and
# shows that a run with one changed bit is refused; then finds, in the history of a PyTorch script, the commit that
# changed its training. Takes about three minutes after the set-up.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -eq 0 ] || { sed -n '2,4s/^# //p' "$0"; exit 2; }
scripts/setup.sh
PATH=$PWD/.venv/bin:$PATH
runs=samestep-runs/demo-$(date -u +%Y%m%dT%H%M%SZ)
mkdir -p samestep-runs
echo '*' >samestep-runs/.gitignore

step() { printf '\n\033[1m%s\033[0m\n' "$1"; shift; printf '$ %s\n' "$*"; }
expect() {  # CODE COMMAND...: the demo fails where an answer is not the one it promises
  local code=$1 got=0; shift
  "$@" || got=$?
  [ "$got" = "$code" ] || { echo "demo: exit code $got, expected $code" >&2; exit 1; }
}

# A container may be refused the namespaces of a view; then the replays run where the recording did.
in_place=()
samestep doctor --json >"$runs.doctor.json" || true
if grep -Eq '"check": *"views"' "$runs.doctor.json"; then in_place=(--in-place); fi

record=(samestep record --run "$runs" --anchor-every 50 -- samestep-train --config configs/gpt.toml --steps 200 --seed 7)
step "1. Record 200 steps of a GPT on real text" "${record[@]}"
expect 0 "${record[@]}"

step "2. What was recorded" samestep inspect "$runs"
expect 0 samestep inspect "$runs"

replay=(samestep replay "$runs" "${in_place[@]}" --from 120 --to 200)
step "3. Replay steps 120 to 199 from the anchor at 100" "${replay[@]}"
expect 0 "${replay[@]}"

cp -r "$runs" "$runs-edited"
step "4. Change one bit of one weight in that anchor" python scripts/flip_bit.py "$runs-edited/anchors/000000100-r0000.safetensors" weights_out/blocks.0.attention.qkv.weight 1234 21
.venv/bin/python scripts/flip_bit.py "$runs-edited/anchors/000000100-r0000.safetensors" blocks.0.attention.qkv.weight 1234 21

replay=(samestep replay "$runs-edited" "${in_place[@]}" --from 120 --to 200)
step "5. The edited run is refused, and says what was changed" "${replay[@]}"
expect 4 "${replay[@]}"

history=$runs-history
.venv/bin/python scripts/demo_history.py "$history"
git -C "$history" checkout --quiet v1.0
record=(samestep record --run "$PWD/$runs-v1.0" -- python train.py)
step "6. Record version 1.0 of a PyTorch script, in a repository of seven commits" "${record[@]}"
(cd "$history" && expect 0 "${record[@]}")
git -C "$history" checkout --quiet main

bisect=(samestep bisect "$runs-v1.0" -j 2 --repo "$history" --folder "$runs-bisect" "${in_place[@]}" --good v1.0 --bad main)
step "7. Which commit changed the training?" "${bisect[@]}"
expect 0 "${bisect[@]}"
grep -q "^# first divergent commit: .* Name the optimizer's options" "$runs-bisect/bisect.log" ||
  { echo "demo: another commit was named" >&2; exit 1; }
printf '\nThe runs are kept in %s, %s and %s.\n' "$runs" "$runs-edited" "$runs-v1.0"

#!/bin/sh
# second_reader_fresh.sh MAKE_GOLDEN PYTHON: writes a run and has the second reader check it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" "$folder/run"
"$2" "$(dirname "$0")/second_reader.py" "$folder/run"

"""What recording and replaying costs the scripts of tests/python/programs and checkpoints: seconds of whole commands,
most of them Python's start and its imports.

  programs.py [--bin .venv/bin] [NAME...]

Printed is a table: the script plainly (with the pins of a recording), recorded, replayed from the start, replayed from the
middle, and the recorded steps. A replay that is not `same` ends it.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parents[2] / "tests" / "python"
WORDS = {TESTS / "programs": (), TESTS / "checkpoints": ("12",)}  # of each script there
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


def call(folder, *words):
    """Seconds, and what it printed."""
    began = time.perf_counter()
    done = subprocess.run([str(word) for word in words], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - began, done.stdout


def call_anew(folder, *words):
    """As call(), in the folder made anew: some scripts go on from the checkpoint that they find."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return call(folder, *words)


def row(bin, folder, program):
    samestep, script = bin / "samestep", (bin / "python", program, *WORDS[program.parent])
    work, run = folder / "work", folder / "run"
    call_anew(work, *script)  # fills the caches
    plain, _ = call_anew(work, *script)
    recorded, _ = call_anew(work, samestep, "record", "--run", run, "--anchor-every", "2", "--", *script)
    steps = json.loads(call(work, samestep, "inspect", "--json", run)[1])["steps"]
    start, _ = call(work, samestep, "replay", run)
    middle, _ = call(work, samestep, "replay", run, "--from", steps // 2)
    return f"| `{program.stem}` | {steps} | {plain:.1f} | {recorded:.1f} | {start:.1f} | {middle:.1f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=lambda text: pathlib.Path(text).resolve(), default=pathlib.Path(sys.executable).parent)
    parser.add_argument("names", nargs="*", help="of programs; all by default")
    options = parser.parse_args()
    print("| program | steps | plain | recorded | from the start | from the middle |\n|---|---|---|---|---|---|")
    for program in (script for folder in WORDS for script in sorted(folder.glob("*.py"))):
        if options.names and program.stem not in options.names:
            continue
        with tempfile.TemporaryDirectory(prefix="samestep-programs-") as folder:
            print(row(options.bin, pathlib.Path(folder), program), flush=True)


if __name__ == "__main__":
    main()

"""What recording and replaying costs the scripts of tests/python/programs: seconds of whole commands, most of them Python's
start and its imports.

  programs.py [--bin .venv/bin] [NAME...]

Printed is a table: the script plainly (with the pins of a recording), recorded, replayed from the start, replayed from the
middle, and the recorded steps. A replay that is not `same` ends it.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

PROGRAMS = pathlib.Path(__file__).resolve().parents[2] / "tests" / "python" / "programs"
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


def call(folder, *words):
    """Seconds, and what it printed."""
    began = time.perf_counter()
    done = subprocess.run([str(word) for word in words], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - began, done.stdout


def row(bin, folder, program):
    samestep, python = bin / "samestep", bin / "python"
    call(folder, python, program)  # fills the caches
    plain, _ = call(folder, python, program)
    run = folder / "run"
    recorded, _ = call(folder, samestep, "record", "--run", run, "--anchor-every", "2", "--", python, program)
    steps = json.loads(call(folder, samestep, "inspect", "--json", run)[1])["steps"]
    start, _ = call(folder, samestep, "replay", run)
    middle, _ = call(folder, samestep, "replay", run, "--from", steps // 2)
    return f"| `{program.stem}` | {steps} | {plain:.1f} | {recorded:.1f} | {start:.1f} | {middle:.1f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=lambda text: pathlib.Path(text).resolve(), default=pathlib.Path(sys.executable).parent)
    parser.add_argument("names", nargs="*", help="of programs; all by default")
    options = parser.parse_args()
    print("| program | steps | plain | recorded | from the start | from the middle |\n|---|---|---|---|---|---|")
    for program in sorted(PROGRAMS.glob("*.py")):
        if options.names and program.stem not in options.names:
            continue
        with tempfile.TemporaryDirectory(prefix="samestep-programs-") as folder:
            print(row(options.bin, pathlib.Path(folder), program), flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes the training data of samestep-train: fetch_data.py FOLDER

Nothing is downloaded: the text comes out of Debian's package bible-kjv, the digits out of PyPI's scikit-learn, both
installed by scripts/setup.sh. Other versions of those packages may hold other bytes; that is said, and is no error,
because every run's manifest names the data it was trained on.
"""
import gzip
import hashlib
import importlib.util
import os
import pathlib
import subprocess
import sys

MINIMUM_TEXT = 500_000  # bytes
# SHA-256 of what bible-kjv 4.38 and scikit-learn 1.9.1 hold.
KNOWN = {
    "bible.txt": "cd45f0c9cedab8e4439bd6486c8952c77cc8b0ecc5d1f6ae3513f2039f47229d",
    "digits.csv": "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8",
}


def bible() -> bytes:
    try:
        text = subprocess.run(["bible", "-f", "gen1:1-rev22:21"], stdin=subprocess.DEVNULL, capture_output=True,
                              check=True).stdout
    except FileNotFoundError:
        sys.exit("fetch_data.py: no program 'bible'. Install it with: apt-get install bible-kjv")
    if len(text) < MINIMUM_TEXT:
        sys.exit(f"fetch_data.py: 'bible -f gen1:1-rev22:21' printed {len(text)} bytes, {MINIMUM_TEXT} are needed")
    return text


def digits() -> bytes:
    """1797 lines of 64 pixels (0 to 16) and the digit shown."""
    package = importlib.util.find_spec("sklearn")
    if package is None:
        sys.exit(f"fetch_data.py: no scikit-learn in {sys.executable}. Install it with: pip install scikit-learn")
    folder = pathlib.Path(package.origin).parent
    return gzip.decompress((folder / "datasets" / "data" / "digits.csv.gz").read_bytes())


def write(path: pathlib.Path, content: bytes) -> None:
    """Whole or not at all, and untouched where it is there already: runs remember inodes and times."""
    if not path.exists() or path.read_bytes() != content:
        temporary = path.with_name(path.name + ".part")
        temporary.write_bytes(content)
        os.replace(temporary, path)
    usual = hashlib.sha256(content).hexdigest() == KNOWN[path.name]
    note = "" if usual else " (not the bytes of the pinned package version)"
    print(f"{path}: {len(content) / 1e6:.1f} MB{note}")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "bible.txt", bible())
    write(folder / "digits.csv", digits())


if __name__ == "__main__":
    main()

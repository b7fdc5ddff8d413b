"""Checks every #include of the tree against the edges that docs/architecture.md allows, the folders for cycles, and that
sources include their own headers first.

Usage: check_includes.py ROOT. Prints each forbidden include as FILE:LINE and exits 1; prints what it checked and exits 0.
"""
import pathlib
import re
import sys

# What each folder may include besides itself; data flow runs from the top to the bottom.
ALLOWED = {
    "kernels": set(),
    "replay/run": {"kernels"},
    "replay/checkpoint": {"kernels", "replay/run"},
    "replay/compare": {"kernels", "replay/run", "replay/checkpoint"},
    "replay/files": set(),
    "replay/recorder": {"kernels", "replay/run", "replay/checkpoint", "replay/compare", "replay/files"},
    "replay/view": {"replay/run", "replay/files", "replay/recorder"},
    "replay/player": {"kernels", "replay/run", "replay/checkpoint", "replay/compare", "replay/files", "replay/recorder",
                      "replay/view"},
    "replay/doctor": {"kernels", "replay/run", "replay/checkpoint", "replay/compare", "replay/recorder", "replay/view",
                      "replay/player"},
    "replay/resume": {"replay/run", "replay/compare", "replay/recorder", "replay/view", "replay/player"},
    "replay/capture": {"kernels", "replay/run", "replay/checkpoint", "replay/recorder"},
    "replay/trainers": {"replay/capture"},
    "python/binding": {"replay/capture"},
    "bisect": {"kernels", "replay/run", "replay/checkpoint", "replay/compare", "replay/recorder", "replay/view",
               "replay/player"},
    "cli": {"kernels", "replay/run", "replay/checkpoint", "replay/compare", "replay/recorder", "replay/view",
            "replay/player", "replay/doctor", "replay/resume", "bisect"},
}
# The training program holds no HDF5 and no log: of the lower folders capture sees these headers only.
CAPTURE_MAY_SEE = {
    "replay/run": {"record.h", "lanes.h", "error.h", "steering.h", "utc.h"},
    "replay/recorder": {"protocol.h"},
}
# A library's headers stay in the folders named.
EXTERNAL = {
    r"^(torch|ATen|c10)/": {"replay/capture", "replay/trainers", "python/binding"},
    r"^hdf5\.h$|^H5": {"replay/run"},
    r"^cuda": {"kernels"},
    r"^CLI/": {"cli", "replay/trainers"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def folder_of(path):
    """The box a path lies in, or None."""
    return next((f for f in sorted(ALLOWED, key=len, reverse=True) if path.startswith(f + "/")), None)


def violations(root):
    """Yields (file, line number, sentence)."""
    for file in sorted(p for p in root.rglob("*") if p.suffix in {".h", ".cpp", ".cu", ".inc"}):
        here = file.relative_to(root).as_posix()
        box = folder_of(here)
        if box is None:
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                sentence = judge(box, match.group(1), match.group(2))
                if sentence:
                    yield here, number, sentence


def judge(box, kind, target):
    """Why `box` may not include `target`; None if it may."""
    other = folder_of(target)
    if other is None:
        for pattern, boxes in EXTERNAL.items():
            if re.search(pattern, target) and box not in boxes:
                return f"{box} may not include <{target}>: only {', '.join(sorted(boxes))} may"
        return None
    if kind == "<":
        return f'write "{target}", not <{target}>'
    if other != box and other not in ALLOWED[box]:
        return f"{box} may not include {other}"
    seen = CAPTURE_MAY_SEE.get(other)
    if box == "replay/capture" and seen is not None and target.rsplit("/", 1)[1] not in seen:
        return f"{box} may include only {', '.join(sorted(seen))} of {other}"
    return None


def own_headers_second(root):
    """Yields (file, line number, sentence). A source includes its own header first: so that one is compiled alone."""
    for header in sorted(root.rglob("*.h")):
        source, here = header.with_suffix(".cpp"), header.relative_to(root).as_posix()
        if folder_of(here) is None or not source.exists():
            continue
        includes = [match for match in map(INCLUDE.match, source.read_text(encoding="utf-8").splitlines()) if match]
        if not includes or includes[0].group(2) != here:
            yield source.relative_to(root).as_posix(), 1, f'include "{here}" first'


def cyclic():
    """A folder that reaches itself over allowed edges, or None."""
    def reaches(start, goal, seen):
        return any(n == goal or (n not in seen and reaches(n, goal, seen | {n})) for n in ALLOWED[start])
    return next((f for f in ALLOWED if reaches(f, f, {f})), None)


def main():
    root = pathlib.Path(sys.argv[1])
    assert cyclic() is None, f"the allowed edges have a cycle through {cyclic()}"
    found = [*violations(root), *own_headers_second(root)]
    for file, number, sentence in found:
        print(f"{file}:{number}: {sentence}")
    print(f"{len(found)} forbidden includes in {len(ALLOWED)} folders")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()

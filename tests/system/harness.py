"""What the system tests share: the programs, recordings, answers, and work side by side.

Standard library only, so that any Python runs it. The programs come from ctest in SAMESTEP_PROGRAMS.
"""
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

SAMESTEP, TRAIN, EDITED, REBUILT, FORGETFUL = os.environ["SAMESTEP_PROGRAMS"].split(":")
SOURCE = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT = 600  # seconds a program may take, on a busy machine too

SAME, DIVERGED, USAGE, INCOMPARABLE, TAMPERED = 0, 1, 2, 3, 4


def surroundings(threads=1, **more):
    """The environment of a program under test. One thread, so that two programs can run side by side; waiting threads
    sleep instead of spinning, which changes no bit."""
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive", **more}


def run(*command, env=None, cwd=None):
    return subprocess.run([str(word) for word in command], env=env or surroundings(), cwd=cwd, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=TIMEOUT)


@dataclasses.dataclass
class Recording:
    path: pathlib.Path
    code: int
    stdout: str
    stderr: str

    def inspect(self, *options):
        return inspect(self.path, *options)


def record(path, *command, options=(), env=None, cwd=None, prefix=()):
    """`samestep record`; `prefix` goes before it (unshare, nice)."""
    done = run(*prefix, SAMESTEP, "record", "--run", path, *options, "--", *command, env=env, cwd=cwd)
    return Recording(pathlib.Path(path), done.returncode, done.stdout, done.stderr)


def recorded(path, *command, **more):
    """A recording that must have worked."""
    recording = record(path, *command, **more)
    if recording.code != 0:
        raise AssertionError(f"{command} ended with {recording.code}: {recording.stderr}")
    return recording


def inspect(path, *options):
    done = run(SAMESTEP, "inspect", path, "--json", *options)
    if done.returncode != 0:
        raise AssertionError(f"inspect {path} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


@dataclasses.dataclass
class Answer:
    """A verdict and the exit code it came with."""
    code: int
    verdict: dict
    stderr: str

    def place(self):
        return self.verdict["step"], self.verdict["lane"], self.verdict["tensor"]

    def says(self, text):
        return any(text in sentence for sentence in self.verdict["evidence"])


def answer(verb, *arguments, **more):
    done = run(SAMESTEP, verb, "--json", *arguments, **more)
    try:
        return Answer(done.returncode, json.loads(done.stdout), done.stderr)
    except json.JSONDecodeError:
        raise AssertionError(f"{verb} {arguments} ended with {done.returncode}: {done.stdout} {done.stderr}") from None


def diff(a, b, *options):
    return answer("diff", a.path, b.path, *options)


def replay(recording, *options, command=(), **more):
    words = ("replay", recording.path, *options, *(("--", *command) if command else ()))
    got = answer(*words, **more)
    if got.code == USAGE and "--in-place" in got.verdict["error"]:
        print(f"this machine allows no view, replaying in place: {got.verdict['error']}", file=sys.stderr)
        got = answer(words[0], "--in-place", *words[1:], **more)
    return got


def side_by_side(function, items):
    """The results of function(item), in order; as many at a time as there are cores."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, items))


def drawn(*what):
    """A generator that is the same in every run of the tests."""
    return random.Random("/".join(str(word) for word in what))


class SystemTest(unittest.TestCase):
    """A test with a folder of its own."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="samestep-test-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.root = pathlib.Path(cls.folder.name)
        os.chdir(cls.root)  # replays leave their folders where they are started
        cls.addClassCleanup(os.chdir, SOURCE)

    def assertVerdict(self, got, code, verdict):
        self.assertEqual((got.code, got.verdict["verdict"]), (code, verdict), (got.verdict, got.stderr))

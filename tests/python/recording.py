"""What the tests of the Python package share: programs run plainly, recorded, compared and replayed.

Standard library only; run by the Python whose torch the package was built against. ctest says in the environment where the
installed program and package are. Programs run with one thread, so that two fit side by side.
"""
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SAMESTEP = os.environ["SAMESTEP_PROGRAM"]
PACKAGE = os.environ["SAMESTEP_PACKAGE"]
HERE = pathlib.Path(__file__).resolve().parent
LEAVE_WEIGHTS = HERE / "leave_weights"  # holds a user's sitecustomize
# Compiling torch's Python files anew takes as long as three of the runs here.
BYTECODE = os.environ.get("SAMESTEP_BYTECODE") or str(pathlib.Path(tempfile.gettempdir(), "samestep-bytecode"))
# What a launch pins; a plain run gets the same. A processor's own branch of ATen is what torch takes by itself.
PINS = {"PYTHONHASHSEED": "0"}
TIMEOUT = 600  # seconds a program may take, on a busy machine too


def surroundings(**more):
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    plain = {"PYTHONPATH": PACKAGE, "PYTHONPYCACHEPREFIX": BYTECODE, "OMP_NUM_THREADS": "1"}
    return kept | plain | more


def call(*words, cwd, code=0, **more):
    """Runs a command; `code`: how it must end, None where any end will do. `more`: environment."""
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=surroundings(**more), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=TIMEOUT)
    if code is not None and done.returncode != code:
        raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def at_once(*jobs):
    """The results of functions that are run two at a time."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return [job.result() for job in [pool.submit(job) for job in jobs]]


class RecordingTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="samestep-python-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def place(self, name):
        """A folder of its own to run a program in."""
        where = self.folder / f"in-{name}"
        where.mkdir(exist_ok=True)
        return where

    def plain(self, *command, code=0, **more):
        return call(*command, cwd=self.place("plain"), code=code, **more)

    def record(self, run, *command, code=0, options=(), place=None, **more):
        """Records `command` as `run`, in a folder of its own."""
        done = call(SAMESTEP, "record", "--run", self.folder / run, *options, "--", *command, cwd=self.place(place or run),
                    code=code, **more)
        self.assertNotIn("unrecorded", done.stderr)
        return done

    def leaving(self, run):
        """The environment in which a program leaves a digest of its weights."""
        return {"PYTHONPATH": f"{PACKAGE}:{LEAVE_WEIGHTS}", "LEAVE_WEIGHTS": str(self.folder / f"{run}.weights")}

    def left(self, run):
        return (self.folder / f"{run}.weights").read_text()

    def answer(self, verb, *words, code=None, **more):
        done = call(SAMESTEP, verb, "--json", *words, cwd=self.folder, code=code, **more)
        self.assertTrue(done.stdout, done.stderr)
        return json.loads(done.stdout)

    def inspect(self, run):
        return self.answer("inspect", self.folder / run, code=0)

    def diff(self, one, other):
        return self.answer("diff", self.folder / one, self.folder / other)

    in_view = True  # replays run in a view, as far as this machine allows one

    def replay(self, run, *words, **more):
        answer = self.answer("replay", self.folder / run, *words, **more)
        if "--in-place" in answer.get("error", ""):
            print(f"this machine allows no view, replaying in place: {answer['error']}", file=sys.stderr)
            self.in_view = False
            answer = self.answer("replay", self.folder / run, "--in-place", *words, **more)
        return answer

    def assert_same(self, verdict, steps):
        self.assertEqual((verdict["verdict"], verdict["steps_compared"]), ("same", steps), json.dumps(verdict, indent=1))


def python(*words):
    return (sys.executable, *words)

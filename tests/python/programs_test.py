"""Scripts written as people write them, recorded and replayed without an edit.

Each program of programs/ runs in a folder of its own: plainly, recorded twice, replayed from the start and from the
middle. Its printed lines must be those of the plain run, the number of recorded steps its own. About 15 s a program on
two idle cores. Standard library only; run by the Python whose torch the package was built against.
"""
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
PROGRAMS = pathlib.Path(__file__).with_name("programs")
UNSEEDED = {"unseeded"}


def call(*words, cwd, code=0):
    environment = {**os.environ, "PYTHONPATH": PACKAGE, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)
    if code is not None and done.returncode != code:
        raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


class Programs(unittest.TestCase):
    """One test a program; see add_tests()."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="samestep-python-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def command(self, name):
        return sys.executable, PROGRAMS / f"{name}.py"

    def record(self, name, run):
        where = self.folder / f"in-{run}"
        where.mkdir()
        done = call(SAMESTEP, "record", "--run", self.folder / run, "--", *self.command(name), cwd=where)
        self.assertNotIn("unrecorded", done.stderr)
        return done.stdout

    def inspect(self, run):
        return json.loads(call(SAMESTEP, "inspect", self.folder / run, "--json", cwd=self.folder).stdout)

    def assert_same(self, run, *window):
        words = SAMESTEP, "replay", self.folder / run, "--json", *window
        done = call(*words, cwd=self.folder, code=None)
        if done.returncode == 2 and "--in-place" in done.stderr:
            print(f"this machine allows no view, replaying in place: {done.stderr}", file=sys.stderr)
            done = call(*words, "--in-place", cwd=self.folder, code=None)
        verdict = json.loads(done.stdout)
        self.assertEqual(verdict["verdict"], "same", done.stdout + done.stderr)
        return verdict

    def walk(self, name):
        printed = self.record(name, "first")
        steps = int(printed.split()[-1])
        self.assertEqual(self.inspect("first")["steps"], steps)
        if name not in UNSEEDED:
            plain = self.folder / "plain"
            plain.mkdir()
            self.assertEqual(call(*self.command(name), cwd=plain).stdout, printed)
            self.assertEqual(self.record(name, "second"), printed)
            verdict = json.loads(call(SAMESTEP, "diff", self.folder / "first", self.folder / "second", "--json", cwd=self.folder).stdout)
            self.assertEqual((verdict["verdict"], verdict["steps_compared"]), ("same", steps))
        self.assertEqual(self.assert_same("first")["steps_compared"], steps)
        middle = self.assert_same("first", "--from", steps // 2)
        self.assertEqual(middle["steps_compared"], steps - steps // 2)
        self.assert_lanes(name, middle["lanes"])

    def assert_lanes(self, name, lanes):
        for lane in ("weights_in", "rng", "hyper", "loss", "gradients", "weights_out"):
            self.assertEqual(lanes[lane], "equal", f"{name}: {lanes}")


def add_tests():
    for program in sorted(PROGRAMS.glob("*.py")):
        setattr(Programs, f"test_{program.stem}", lambda self, name=program.stem: self.walk(name))


add_tests()

if __name__ == "__main__":
    unittest.main()

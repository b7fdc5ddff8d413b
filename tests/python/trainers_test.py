"""Trainers that people install, on tiny models, as their manuals have them: recorded and replayed without an edit.

Each script of trainers/ is recorded twice and run plainly; its last two lines (a loss, and the steps that the trainer itself
counted) must be equal, the steps those recorded, the recordings equal, and a replay from the start the same. The packages
come from scripts/requirements-trainers.txt.
"""
import pathlib
import unittest

from recording import HERE, RecordingTest, at_once, python

TRAINERS = pathlib.Path(HERE, "trainers")
LANES = ("weights_in", "rng", "batch", "hyper", "loss", "gradients", "weights_out")


class Trainers(RecordingTest):
    """One test a trainer; see add_tests()."""

    def walk(self, name):
        trainer = python(TRAINERS / f"{name}.py")
        jobs = [lambda: self.plain(*trainer), lambda: self.record("first", *trainer), lambda: self.record("second", *trainer)]
        plain, first, second = [done.stdout.splitlines()[-2:] for done in at_once(*jobs)]
        self.assertEqual(first, plain)
        self.assertEqual(second, plain)
        steps = int(plain[-1].split()[-1])
        self.assertEqual(self.inspect("first")["steps"], steps)
        self.assert_same(self.diff("first", "second"), steps)
        verdict = self.replay("first")
        self.assert_same(verdict, steps)
        for lane in LANES:
            self.assertEqual(verdict["lanes"][lane], "equal", f"{name}: {verdict['lanes']}")


def add_tests():
    for trainer in sorted(TRAINERS.glob("*.py")):
        setattr(Trainers, f"test_{trainer.stem}", lambda self, name=trainer.stem: self.walk(name))


add_tests()

if __name__ == "__main__":
    unittest.main()

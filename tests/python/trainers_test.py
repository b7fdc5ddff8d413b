"""Trainers that people install, on tiny models, as their manuals have them: recorded and replayed without an edit.

Each script of trainers/ is recorded and run plainly; its last two lines (a loss, and the steps that the trainer itself
counted) must be equal, the steps those recorded, and replays from the start and the middle the same. The packages come
from scripts/requirements-trainers.txt.
"""
import pathlib
import unittest

from recording import HERE, RecordingTest, at_once, python

TRAINERS = pathlib.Path(HERE, "trainers")
COMPUTED = {"fastai_learner"}  # its optimizers are its own: computed from the start
FORWARDED = "led without being computed"
LANES = ("weights_in", "rng", "batch", "hyper", "loss", "gradients", "weights_out")


class Trainers(RecordingTest):
    """One test a trainer; see add_tests()."""

    def walk(self, name):
        trainer = python(TRAINERS / f"{name}.py")
        jobs = [lambda: self.plain(*trainer), lambda: self.record("first", *trainer, options=("--anchor-every", 2))]
        plain, first = [done.stdout.splitlines()[-2:] for done in at_once(*jobs)]
        self.assertEqual(first, plain)
        steps = int(plain[-1].split()[-1])
        self.assertEqual(self.inspect("first")["steps"], steps)
        whole = self.replay("first")
        middle = self.replay("first", "--from", steps // 2)  # not at once: both write into the trainer's own folders
        self.assert_same(whole, steps)
        self.assert_same(middle, steps - steps // 2)
        self.assertEqual(FORWARDED in " ".join(middle["evidence"]), name not in COMPUTED, middle["evidence"])
        for lane in LANES:
            self.assertEqual(whole["lanes"][lane], "equal", f"{name}: {whole['lanes']}")


def add_tests():
    for trainer in sorted(TRAINERS.glob("*.py")):
        setattr(Trainers, f"test_{trainer.stem}", lambda self, name=trainer.stem: self.walk(name))


add_tests()

if __name__ == "__main__":
    unittest.main()

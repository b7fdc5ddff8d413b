"""Trainers that people install, on tiny models, as their manuals have them: recorded and replayed without an edit.

Each script of trainers/ is recorded and run plainly; its last two lines (a loss, and the steps that the trainer itself
counted) and the weights it ends with must be equal, the steps those recorded, and replays from the start and the middle the
same. A second recording, which must have the same chain, is made of the cheapest, and with SAMESTEP_FULL=1 of every one. The
packages come from scripts/requirements-trainers.txt.
"""
import os
import pathlib
import unittest

from recording import HERE, PINS, RecordingTest, at_once, python

TRAINERS = pathlib.Path(HERE, "trainers")
FULL = os.environ.get("SAMESTEP_FULL")
CHEAPEST = "ignite_trainer"
COMPUTED = {"fastai_learner"}  # its optimizers are its own: computed from the start
JUMPS = {"transformers_trainer"}  # the loop is entered at the anchor
FORWARDED = "led without being computed"
LANES = ("weights_in", "rng", "batch", "hyper", "loss", "gradients", "weights_out")


class Trainers(RecordingTest):
    """One test a trainer; see add_tests()."""

    def check_unchanged(self, plain, recorded):
        self.assertTrue(self.left("plain"))
        for run, printed in zip(("first", "second"), recorded):
            self.assertEqual((printed, self.left(run)), (plain, self.left("plain")), run)
        if len(recorded) > 1:
            self.assert_same(self.diff("first", "second"), int(plain[-1].split()[-1]))

    def walk(self, name):
        trainer = python(TRAINERS / f"{name}.py")
        record = lambda run: self.record(run, *trainer, options=("--anchor-every", 2), **self.leaving(run))  # noqa: E731
        jobs = [lambda: self.plain(*trainer, **PINS, **self.leaving("plain")), lambda: record("first")]
        jobs += [lambda: record("second")] * (name == CHEAPEST or bool(FULL))
        plain, *recorded = [done.stdout.splitlines()[-2:] for done in at_once(*jobs)]
        self.check_unchanged(plain, recorded)
        steps = int(plain[-1].split()[-1])
        self.assertEqual(self.inspect("first")["steps"], steps)
        whole = self.replay("first")
        middle = self.replay("first", "--from", steps // 2)  # not at once: both write into the trainer's own folders
        self.assert_same(whole, steps)
        self.assert_same(middle, steps - steps // 2)
        self.assertEqual(FORWARDED in " ".join(middle["evidence"]), name not in COMPUTED, middle["evidence"])
        if name in JUMPS:  # the middle of its second epoch
            jumped = self.replay("first", "--from", steps // 2 + 2, "--jump")
            self.assert_same(jumped, steps - steps // 2 - 2)
            self.assertIn(f"started from the anchor at step {steps // 2 + 2}", " ".join(jumped["evidence"]))
        for lane in LANES:
            self.assertEqual(whole["lanes"][lane], "equal", f"{name}: {whole['lanes']}")


def add_tests():
    for trainer in sorted(TRAINERS.glob("*.py")):
        setattr(Trainers, f"test_{trainer.stem}", lambda self, name=trainer.stem: self.walk(name))


add_tests()

if __name__ == "__main__":
    unittest.main()

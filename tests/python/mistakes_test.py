"""A dozen ways in which a resumed training is not the training that was interrupted, and what names each.

Each script of mistakes/ trains 22 steps and leaves a checkpoint after 17. Here a few are recorded; then, in a copy of that run,
their resume is recorded as the run's continuation. The continuation's own event and a comparison with the uninterrupted run
must both name the step and the first lane that differs: the script's mistake. resume_check_test.py has them all.
"""
import pathlib
import re
import shutil
import unittest

from recording import HERE, RecordingTest, python

MISTAKES = pathlib.Path(HERE, "mistakes")
STEP = 17  # where every resume takes up

# What differs first, by script. None: nothing between the two, only inside each, where the recording itself tells.
FIRST = {
    "shuffle_order_again": "batch",
    "workers_alike": None,
    "moments_lost": "weights_out",
    "moments_of_another": "weights_out",
    "schedule_off_by_one": "hyper",
}
# What the resume's event says of the optimizer's state, where that is the mistake, or where there is none.
OPTIMIZER = {
    "moments_lost": "Its optimizer holds no state",
    "moments_of_another": "Its optimizer's state is not that after step 16",
    "schedule_off_by_one": "it goes on at step 17.",  # SGD without momentum
}


class Mistakes(RecordingTest):
    def events(self, run):
        return [(event.get("step"), event["text"]) for event in self.inspect(run)["events"] if event["kind"] == "resume"]

    def repeated(self):
        """The step at which a batch came once more, as the recording tells."""
        return next((event["step"] for event in self.inspect("whole")["events"] if event["kind"] == "repeated_batch"), None)

    def walk(self, name):
        script = MISTAKES / f"{name}.py"
        self.record("whole", *python(script), place="here")
        shutil.copytree(self.folder / "whole", self.folder / "resumed")
        self.record("resumed", *python(script, "--resume"), place="here", options=["--continue"])
        (where, taken_up), *differing = self.events("resumed")
        self.assertEqual(where, STEP)
        self.assertIn(f"Its weights are those after step {STEP - 1}: it goes on at step {STEP}.", taken_up)
        self.assertIn(OPTIMIZER.get(name, "Its optimizer's state is that after the same step."), taken_up)
        verdict = self.diff("whole", "resumed")
        lane = FIRST[name]
        if lane is None:
            self.assertEqual((verdict["verdict"], differing), ("same", []))
            self.assertEqual(self.repeated(), 1, "its batches come in pairs, from step 0 on")
            return
        self.assertIsNone(self.repeated())
        self.assertEqual((verdict["verdict"], verdict["step"], verdict["lane"]), ("diverged", STEP, lane), verdict)
        ((where, text),) = differing
        self.assertEqual((where, re.search(r"first in (\w+)", text + " first in nothing").group(1)), (STEP, lane))


def add_tests():
    for name in FIRST:
        setattr(Mistakes, f"test_{name}", lambda self, name=name: self.walk(name))


add_tests()

if __name__ == "__main__":
    unittest.main()

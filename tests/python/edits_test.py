"""One edit of a script for each lane: the replay of the edited script names step, lane and class, and has run twice.

edited.py is recorded once; each test replays it with the edit's name as its argument.
"""
import pathlib
import unittest

from recording import HERE, RecordingTest, python

SCRIPT = HERE / "edited.py"
STEP = 3  # as in edited.py
# Edit: step, lane, class.
EDITS = {
    "permuted labels": (0, "batch", "batch"),
    "swapped betas": (0, "hyper", "hyper"),
    "evaluation draws": (STEP, "rng", "rng"),
    "evaluation changes BatchNorm": (STEP, "weights_in", "state_edited"),
    "forward": (STEP, "loss", "forward"),
    "backward": (STEP, "gradients", "backward"),
    "update": (STEP + 1, "weights_in", "state_edited"),
}


class Edits(RecordingTest):
    def test_each_is_named(self):
        self.record("run", *python(SCRIPT))
        for edit, expected in EDITS.items():
            with self.subTest(edit):
                verdict = self.replay("run", "--", *python(SCRIPT, edit))
                found = (verdict["step"], verdict["lane"], verdict["class"])
                self.assertEqual((verdict["verdict"], *found), ("diverged", *expected), verdict["evidence"])


if __name__ == "__main__":
    unittest.main()

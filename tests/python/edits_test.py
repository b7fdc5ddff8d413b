"""One edit of a script for each lane and kind of program: step, lane and class are named.

All trainings of edited.py are recorded in one go and compared with the unedited one of their kind. A few edits are also replays
of a recording with the edit's name as the script's argument, which have run twice; SAMESTEP_FULL=1 replays all of them.
"""
import os
import unittest

from recording import HERE, SAMESTEP, RecordingTest, at_once, call, python

FULL = os.environ.get("SAMESTEP_FULL")
SCRIPT = HERE / "edited.py"
STEP, STATE_STEP, NEXT_ANCHOR = 3, 16, 7  # the first two as in edited.py
ANCHORS = ("--anchor-every", 4)  # as there
# Edit: step, lane, class.
EDITS = {
    "permuted labels": (0, "batch", "batch"),
    "rate": (0, "hyper", "hyper"),
    "evaluation draws": (STEP, "rng", "rng"),
    "evaluation draws from numpy": (STEP, "rng", "rng"),
    "evaluation changes BatchNorm": (STEP, "weights_in", "state_edited"),
    "weight between steps": (STEP + 1, "weights_in", "state_edited"),
    "forward": (STEP, "loss", "forward"),
    "backward": (STEP, "gradients", "backward"),
    "update": (STEP, "weights_out", "update"),
    "state of the optimizer": (STATE_STEP, "optimizer", "update"),
    "average": (NEXT_ANCHOR, "state", "state_edited"),
    "scheduler": (NEXT_ANCHOR, "state", "state_edited"),
    "note": (NEXT_ANCHOR, "state", "state_edited"),
}
WITH_ADAM = EDITS | {"swapped betas": (0, "hyper", "hyper"), "train() is missing": (STEP, "loss", "forward")}
# An update by hand keeps its rate to itself, and whatever changes the weights before the next step begins is part of it.
BY_HAND = {edit: found for edit, found in EDITS.items() if edit not in ("state of the optimizer", "scheduler")} | {
    "rate": (0, "weights_out", "update"),
    "evaluation changes BatchNorm": (STEP - 1, "weights_out", "update"),
    "weight between steps": (STEP, "weights_out", "update"),
    "average": (STEP, "state", "state_edited"),  # the anchor is cut where the next step begins
    "note": (STEP, "state", "state_edited"),
}
ONE_A_LANE = {edit: found for edit, found in EDITS.items()
              if edit not in ("evaluation draws from numpy", "weight between steps", "average", "scheduler")}
# The losses of all passes of a step stand in one lane, before the gradients: those of the later ones show what the first pass's
# backward did.
LBFGS = ONE_A_LANE | {"backward": (STEP, "loss", "forward")}
# A step within a step: the base's is wrapped as well.
IN_A_SUBCLASS = {edit: EDITS[edit] for edit in ("weight between steps", "update", "state of the optimizer")}
IN_THE_UPDATE = {edit: EDITS[edit] for edit in ("permuted labels", "rate", "forward", "backward", "update")}
# The classifier's are the odd steps.
GAN = IN_THE_UPDATE | {"rate": (1, "hyper", "hyper"), "the judge's rate": (0, "hyper", "hyper")}
# What is clipped depends on gradients: an edit of the passes before shows where it was made all the same.
AMP = IN_THE_UPDATE | {"clipping": (STEP, "hyper", "hyper"), "scale": (0, "hyper", "hyper")}
KINDS = {
    "optimizer": WITH_ADAM,
    "two optimizers": IN_A_SUBCLASS,
    "closure": ONE_A_LANE,
    "lbfgs": LBFGS,
    "gan": GAN,
    "amp": AMP,
    "compiled": {edit: EDITS[edit] for edit in ("rate", "forward", "backward")},
    "by hand": BY_HAND,
}
REPLAYED = {
    "optimizer": ("swapped betas", "train() is missing", "average"),  # the last is read where the recording cut an anchor
    "closure": ("backward",),
    "by hand": ("evaluation changes BatchNorm",),
}


class Edits(RecordingTest):
    def assert_named(self, edit, expected, verdict, events):
        found = (verdict["step"], verdict["lane"], verdict["class"])
        self.assertEqual((verdict["verdict"], *found), ("diverged", *expected), verdict["evidence"])
        self.assertEqual("evaluation_mode" in str(events), edit == "train() is missing")

    def test_each_is_named(self):
        trainings = [f"{kind}:{edit}" for kind, edits in KINDS.items() for edit in ("", *edits)]
        call(*python(SCRIPT, "each", self.folder, *trainings), cwd=self.folder, SAMESTEP_PROGRAM=SAMESTEP)
        for kind, edits in KINDS.items():
            for edit, expected in edits.items():
                with self.subTest(kind=kind, edit=edit):
                    events = self.inspect(f"{kind}:{edit}")["events"] if kind == "optimizer" else []
                    self.assert_named(edit, expected, self.diff(f"{kind}:", f"{kind}:{edit}"), events)

    def record_kind(self, kind):
        self.record("run", *python(SCRIPT, kind), options=ANCHORS)

    def check_replays(self, kind, run="run"):
        edits = KINDS[kind] if FULL else REPLAYED[kind]
        verdicts = at_once(*(lambda edit=edit: self.replay(run, "--", *python(SCRIPT, kind, edit)) for edit in edits))
        for edit, verdict in zip(edits, verdicts):
            with self.subTest(edit):
                self.assert_named(edit, KINDS[kind][edit], verdict, verdict["evidence"])

    def test_a_replay_names_it_with_an_optimizer(self):
        """On the way to an anchor too: there it is computed from the start."""
        self.record_kind("optimizer")
        verdict = self.replay("run", "--from", 6, "--", *python(SCRIPT, "optimizer", "evaluation draws"))
        self.assertEqual((verdict["verdict"], verdict["step"], verdict["lane"]), ("diverged", STEP, "rng"))
        printed = [path.name for path in self.folder.glob("samestep-runs/*/output*.txt")]
        expected = ["output.txt", "output-again.txt"] + ["output-forwarded.txt"] * self.in_view
        self.assertEqual(sorted(printed), sorted(expected))
        self.check_replays("optimizer")

    def test_a_replay_names_it_with_a_closure(self):
        self.record_kind("closure")
        self.check_replays("closure")

    @unittest.skipUnless(FULL, "takes a minute: SAMESTEP_FULL=1 runs it")
    def test_a_replay_names_it_with_others(self):
        for kind in ("lbfgs", "gan", "amp"):
            self.record(kind, *python(SCRIPT, kind), options=ANCHORS)
            self.check_replays(kind, kind)

    def test_a_replay_names_it_by_hand(self):
        self.record_kind("by hand")
        self.check_replays("by hand")


if __name__ == "__main__":
    unittest.main()

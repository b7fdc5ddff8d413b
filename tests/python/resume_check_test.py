"""`samestep resume-check` of scripts that resume from their own checkpoint: one that does it right, and those of mistakes/.

Each trains 22 steps and leaves a checkpoint after 17; it is killed when it has made step 19. The check must say that its resume
takes up at step 17, and name the first lane that differs there: the script's mistake. Three starts of Python each; those whose
resume mistakes_test.py records as a continuation, with the same answer, are checked with SAMESTEP_FULL=1.
"""
import json
import os
import pathlib
import shlex
import sys
import unittest

from recording import HERE, SAMESTEP, RecordingTest, call, python

MISTAKES = pathlib.Path(HERE, "mistakes")
STEP = 17  # where every resume takes up
AT = 18

# What differs first, by script. None: nothing.
FIRST = {
    "none": None,
    "newest_first": "batch",
    "stale_cache": "batch",
    "seeded_again": "rng",
    "numpy_unseeded": "rng",
    "evaluation_draws": "rng",
    "rng_file_rejected": "rng",
    "recomputed_dropout": "gradients",
    "moments_lost": "optimizer",
    "moments_of_another": "optimizer",
    "scaler_forgotten": "hyper",
}
if os.environ.get("SAMESTEP_FULL"):
    FIRST |= {
        "shuffle_order_again": "batch",
        "workers_alike": None,  # nothing between runs, only inside each
        "schedule_off_by_one": "hyper",
    }


class ResumeCheck(RecordingTest):
    def check(self, script, *options):
        """The answer, and the folder that it was given in."""
        where = self.place("here")
        words = ["--resume", shlex.join(map(str, python(script, "--resume"))), *options, "--", *python(script)]
        answer, done = self.ask(where, words)
        if "--in-place" in answer.get("error", ""):
            print(f"this machine allows no view, checking in copies: {answer['error']}", file=sys.stderr)
            answer, done = self.ask(where, ["--in-place", *words])
        self.assertEqual(list(where.iterdir()), [], "the check left something in the folder")
        self.assertEqual(done.returncode, {"same": 0, "diverged": 1}.get(answer["verdict"], 3), answer)
        return answer

    def ask(self, where, words):
        done = call(SAMESTEP, "resume-check", "--json", "--at", AT, *words, cwd=where, code=None)
        self.assertTrue(done.stdout, done.stderr)
        return json.loads(done.stdout), done

    def walk(self, name):
        answer = self.check(MISTAKES / f"{name}.py")
        self.assertEqual((answer["killed_at"], answer["taken_up_at"]), (AT + 1, STEP), answer)
        lane = FIRST[name]
        if lane is None:
            self.assertEqual((answer["verdict"], answer["steps_compared"]), ("same", 22 - STEP), answer)
        else:
            self.assertEqual((answer["verdict"], answer["step"], answer["lane"]), ("diverged", STEP, lane), answer)

    def test_an_anchor_alone(self):
        """Without --resume: the anchor after step 18, to which the script is led without computing."""
        where = self.place("here")
        script = python(MISTAKES / "none.py")
        answer, done = self.ask(where, ["--", *script])
        if "--in-place" in answer.get("error", ""):
            answer, done = self.ask(where, ["--in-place", "--", *script])
        self.assertEqual((answer["verdict"], answer["tested"], answer["taken_up_at"]), ("same", "anchor", AT + 1), answer)
        self.assertIn("Samestep's own anchor", answer["evidence"][0])


def add_tests():
    for name in FIRST:
        setattr(ResumeCheck, f"test_{name}", lambda self, name=name: self.walk(name))


add_tests()

if __name__ == "__main__":
    unittest.main()

"""A bisect over the history of a Python script: trials are led to the window without computing, and no commit is accused by
that alone."""
import json
import os
import subprocess
import unittest

from recording import SAMESTEP, RecordingTest, call, python

# What stands between: how a step uses the weights, and which sign a gradient has from a step on.
SCRIPT = """
import torch
{imports}
torch.manual_seed(0)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
{before}
for step in range(64):
    factor = 1.0
{inside}
    loss = model(torch.randn(8, 3)).square().mean() * factor
    optimizer.zero_grad()
    loss.backward()
    if step >= {since}:
        model.bias.grad.neg_()
    optimizer.step()
"""
# Reads a weight behind torch's back, once it has changed, and changes nothing as long as it did change.
PEEKS = {"imports": "import ctypes", "before": "first, seen = model.bias.item(), None",
         "inside": "    if step == 8: seen = ctypes.c_float.from_address(model.bias.data_ptr()).value\n"
                   "    if step >= 40 and seen == first: factor = 2.0"}
FULL = unittest.skipUnless(os.environ.get("SAMESTEP_FULL"), "takes a minute: SAMESTEP_FULL=1 runs it")
PLAIN = {"imports": "", "before": "", "inside": ""}


class Bisect(RecordingTest):
    def git(self, *words):
        who = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_COMMITTER_NAME": "Ada",
               "GIT_COMMITTER_EMAIL": "ada@example.org", "GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(["git", *words], cwd=self.repository, env=os.environ | who, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def history(self, *scripts):
        self.repository = self.place("repository")
        self.git("init", "-q", "-b", "main")
        commits = []
        for number, script in enumerate(scripts):
            (self.repository / "train.py").write_text(SCRIPT.format(**script) + f"# {number}\n")
            self.git("add", "train.py")
            self.git("commit", "-q", "-m", f"Commit {number}")
            commits.append(self.git("rev-parse", "HEAD"))
        self.git("checkout", "-q", commits[0])
        self.record("run", *python("train.py"), options=("--anchor-every", 16), place="repository")
        return commits

    def bisect(self, commits):
        done = call(SAMESTEP, "bisect", self.folder / "run", "--json", "--folder", self.folder / "bisect", "--good",
                    commits[0], "--bad", commits[-1], "--", *python("train.py"), cwd=self.repository,
                    XDG_CACHE_HOME=str(self.folder / "cache"))
        return json.loads(done.stdout), done.stderr

    @FULL
    def test_trials_are_led_to_the_window(self):
        good, bad = PLAIN | {"since": 99}, PLAIN | {"since": 60}
        commits = self.history(good, bad)
        found, _ = self.bisect(commits)
        self.assertEqual((found["culprit"]["commit"], found["step"], found["lane"]), (commits[1], 60, "gradients"))
        self.assertEqual((found["window"]["from"], found["window"]["to"]), (48, 61))
        # Thirteen steps a replay, two replays of what parts; and the culprit's, once, from the start.
        self.assertLessEqual(found["steps_replayed"], 2 * 13 * (found["trials"] - 1) + 61)
        self.assertIn("parts at step 60 when all of it is computed", " ".join(found["assumptions"]))

    def test_what_no_anchor_holds_accuses_nobody(self):
        good, peeks, bad = PLAIN | {"since": 99}, PEEKS | {"since": 99}, PEEKS | {"since": 60}
        commits = self.history(good, peeks, bad)
        found, said = self.bisect(commits)
        self.assertEqual((found["culprit"]["commit"], found["step"], found["lane"]), (commits[2], 60, "gradients"), said)
        self.assertIn("each computed from the start", said)

    @FULL
    def test_a_good_revision_that_cannot_be_led_reproduces_the_run(self):
        good, bad = PEEKS | {"since": 99}, PEEKS | {"since": 60}
        commits = self.history(good, bad)
        found, said = self.bisect(commits)
        self.assertEqual((found["culprit"]["commit"], found["step"]), (commits[1], 60), said)


if __name__ == "__main__":
    unittest.main()

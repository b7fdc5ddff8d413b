"""`samestep doctor` on Python programs. About 40 s on two idle cores. Standard library only; run by the Python whose torch
the package was built against.
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
SCRIPT = """
import random, sys, numpy, torch
if "--seed" in sys.argv:
    random.seed(1), numpy.random.seed(1), torch.manual_seed(1)
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
numpy.random.permutation(100)
for step in range(10**9):
    optimizer.zero_grad()
    model(torch.randn(5, 4)).square().mean().backward()
    optimizer.step()
"""


class Doctor(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="samestep-doctor-"))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "train.py").write_text(SCRIPT)

    def doctor(self, *words, script="train.py", **variables):
        """The answer; the packages' digests are remembered where the user's are, for there are thousands."""
        environment = {**os.environ, "PYTHONPATH": PACKAGE, "PYTHONDONTWRITEBYTECODE": "1", **variables}
        done = subprocess.run([SAMESTEP, "doctor", "--json", "--steps", "4", "--", sys.executable, script, *words],
                              cwd=self.folder, env=environment, capture_output=True, text=True, timeout=600)
        return done.returncode, json.loads(done.stdout)

    def checks(self, answer):
        return [finding["check"] for finding in answer["findings"]]

    def test_a_program_that_never_ends_is_stopped_and_the_same(self):
        code, answer = self.doctor("--seed")
        self.assertEqual(answer["verdict"]["verdict"], "same", answer)
        self.assertEqual(answer["verdict"]["steps_compared"], 4)
        self.assertNotIn("package", self.checks(answer))
        problems = [finding for finding in answer["findings"] if finding["level"] == "problem"]
        self.assertEqual(code, 1 if problems else 0, problems)

    def test_an_unseeded_program_is_told_what_to_seed(self):
        code, answer = self.doctor()
        self.assertEqual((code, answer["verdict"]["class"], answer["replay"]), (1, "rng", "same"), answer)
        advice = " ".join(answer["advice"])
        self.assertIn("torch.manual_seed(", advice)
        self.assertIn("numpy.random.seed(", advice)
        self.assertIn("a replay repeats it all the same", advice)

    def test_a_package_for_another_torch_is_a_problem_with_its_fix(self):
        other = self.folder / "other" / "samestep"
        shutil.copytree(pathlib.Path(PACKAGE) / "samestep", other)
        (other / "_built.py").write_text('TORCH = "2.11.0"\n')
        (self.folder / "nothing.py").write_text("pass\n")  # an unrecorded program is not stopped
        code, answer = self.doctor(script="nothing.py", PYTHONPATH=str(other.parent))
        self.assertEqual((code, answer["verdict"]["verdict"]), (3, "incomparable"))
        finding = next(finding for finding in answer["findings"] if finding["check"] == "package")
        self.assertIn("2.11.0", finding["text"])
        self.assertIn(f"{sys.executable} -m pip install", finding["fix"])


if __name__ == "__main__":
    unittest.main()

"""Seeds that a program gives itself: another one at a replay is replaced, an edited one is a difference."""
import shlex
import unittest

from recording import RecordingTest, python

TRAINING = """
import random, sys, time
import torch

def seed_everything(seed):
    random.seed(seed)
    torch.manual_seed(random.randint(0, 1000000))

seed_everything({seed})
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(4):
    loss = model(torch.randn(8, 3)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


class Seeds(RecordingTest):
    def recorded(self, seed, *words):
        self.script = self.folder / "script.py"
        self.script.write_text(TRAINING.format(seed=seed))
        self.record("run", *python(self.script), *words)

    def evidence(self, verdict):
        return " ".join(verdict["evidence"])

    def test_a_seed_from_the_clock_is_replaced_and_named(self):
        self.recorded("time.time()")
        verdict = self.replay("run")
        self.assert_same(verdict, 4)
        self.assertRegex(self.evidence(verdict), r"random.seed\(\).* call 0 .*the recorded one was put in its place")

    def test_a_number_that_somebody_chose_stands(self):
        """As it was, it is no news; on another command line, and edited, it is a difference."""
        self.recorded("int(sys.argv[1])", "7")
        verdict = self.replay("run")
        self.assert_same(verdict, 4)
        self.assertNotIn("seed", self.evidence(verdict))
        self.assert_stands("8", self.replay("run", "--", *python(self.script, "8")))
        self.script.write_text(TRAINING.format(seed="9"))
        self.assert_stands("9", self.replay("run"))

    def test_a_script_around_it_may_choose_at_random_until_it_is_edited(self):
        """Its process's arguments are others at every run; they are meant where somebody edited what gives them."""
        self.script = self.folder / "script.py"
        self.script.write_text(TRAINING.format(seed="int(sys.argv[1])"))
        around, start = self.folder / "run.sh", f"exec {shlex.join(map(str, python(self.script)))}"
        around.write_text(f"{start} $(date +%N | sed s/^0*/1/)\n")
        self.record("run", "sh", str(around))
        self.assert_same(self.replay("run"), 4)
        around.write_text(f"{start} 8\n")
        verdict = self.replay("run")
        self.assertEqual((verdict["verdict"], verdict["lane"], verdict["step"]), ("diverged", "weights_in", 0))
        self.assertIn("it stands", self.evidence(verdict))

    def assert_stands(self, seed, verdict):
        self.assertEqual((verdict["verdict"], verdict["lane"], verdict["step"]), ("diverged", "weights_in", 0))
        self.assertRegex(self.evidence(verdict), f"given the seed {seed}, recorded was 7: it stands")


if __name__ == "__main__":
    unittest.main()

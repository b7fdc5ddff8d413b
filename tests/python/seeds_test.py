"""Seeds that a program gives itself: another one at a replay is replaced, an edited one is a difference."""
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

    def test_a_seed_that_comes_out_equal_is_no_news(self):
        self.recorded("5")
        verdict = self.replay("run")
        self.assert_same(verdict, 4)
        self.assertNotIn("seed", self.evidence(verdict))

    def test_an_edited_seed_is_a_difference(self):
        self.recorded("5")
        self.script.write_text(TRAINING.format(seed="6"))
        verdict = self.replay("run")
        self.assertEqual((verdict["verdict"], verdict["lane"], verdict["step"]), ("diverged", "weights_in", 0))
        self.assertRegex(self.evidence(verdict), r"given the seed 6, recorded was 5: it stands")

    def test_another_seed_on_the_command_line_is_a_difference(self):
        self.recorded("int(sys.argv[1])", "7")
        verdict = self.replay("run", "--", *python(self.script, "8"))
        self.assertEqual((verdict["verdict"], verdict["step"]), ("diverged", 0))
        self.assertRegex(self.evidence(verdict), r"given the seed 8, recorded was 7: it stands")


if __name__ == "__main__":
    unittest.main()

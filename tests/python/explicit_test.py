"""The explicit API: the five examples of examples/python as their first lines say, and what each call refuses."""
import pathlib
import shutil
import textwrap
import unittest

from recording import HERE, SAMESTEP, RecordingTest, at_once, call, python

EXAMPLES = HERE.parents[1] / "examples" / "python"
STEPS, MIDDLE = 12, 8
JUMPED = "started from the anchor at step 8"
FORWARDED = "led without being computed"

LOOP = """
import samestep, torch
torch.manual_seed(0)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
samestep.attach(model, optimizer)
counter = 0
for number in samestep.steps(6):
    counter += 1
    optimizer.param_groups[0]["lr"] = 0.1 / counter
    loss = model(torch.randn(8, 3)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(counter)
"""


class Examples(RecordingTest):
    def recorded(self, name):
        program = python(EXAMPLES / f"{name}.py")
        plain, recorded = at_once(lambda: self.plain(*program),
                                  lambda: self.record("run", *program, options=("--anchor-every", 4)))
        self.assertEqual(recorded.stdout, plain.stdout)
        self.assertEqual(self.inspect("run")["steps"], STEPS)

    def assert_middle(self, evidence, *words):
        verdict = self.replay("run", "--from", MIDDLE, *words)
        self.assert_same(verdict, STEPS - MIDDLE)
        self.assertIn(evidence, " ".join(verdict["evidence"]))
        return verdict

    def walk(self, name, jumps):
        self.recorded(name)
        self.assert_middle(FORWARDED if self.in_view else "", *([] if self.in_view else ["--in-place"]))
        if not jumps:
            self.assert_same(self.replay("run"), STEPS)
            refused = self.answer("replay", self.folder / "run", "--jump", code=2)
            self.assertIn("no loop over samestep.steps()", refused["error"])
            return
        verdict = self.assert_middle(JUMPED, "--jump")
        self.assertNotIn(FORWARDED, " ".join(verdict["evidence"]))

    def test_own_optimizer(self):
        self.walk("own_optimizer", jumps=False)

    def test_by_hand(self):
        self.walk("by_hand", jumps=False)

    def test_enter_anywhere(self):
        self.walk("enter_anywhere", jumps=True)

    def test_shuffled_loader(self):
        self.walk("shuffled_loader", jumps=True)

    def test_notebook(self):
        """It records itself; the replay of that is launched."""
        program = python(EXAMPLES / "notebook.py")
        done = self.plain(*program, SAMESTEP_PROGRAM=SAMESTEP)
        self.assertIn("recorded 12 steps in notebook-run", done.stderr)
        shutil.move(self.place("plain") / "notebook-run", self.folder / "run")
        self.assertEqual(self.inspect("run")["steps"], STEPS)
        self.assert_same(self.replay("run"), STEPS)


class Loops(RecordingTest):
    def recorded(self, text):
        script = self.folder / "script.py"
        script.write_text(text)
        self.record("run", *python(script), options=("--anchor-every", 2))

    def test_a_counter_of_the_programs_own_is_named_after_a_jump_and_can_be_pinned(self):
        self.recorded(LOOP)
        verdict = self.replay("run", "--from", 4, "--jump")
        self.assertEqual((verdict["verdict"], verdict["step"], verdict["lane"]), ("diverged", 4, "hyper"))
        self.assertIn("samestep.state", " ".join(verdict["evidence"]))
        verdict = self.replay("run", "--from", 4, "--jump", "--pin", "hyper")
        self.assert_same(verdict, 2)
        self.assertEqual((verdict["lanes"]["hyper"], verdict["lanes"]["weights_out"]), ("given", "equal"))
        refused = self.answer("replay", self.folder / "run", "--pin", "batch", code=2)
        self.assertIn("not the batches themselves", refused["error"])

    def test_generators_can_be_pinned_to_those_of_the_anchor(self):
        """A draw that only the first iteration makes moves the generators that a jump has put in."""
        drawing = LOOP.replace("    counter += 1\n", "    if counter == 0 and number > 0: torch.rand(1)\n    counter += 1\n")
        self.recorded(drawing.replace('    optimizer.param_groups[0]["lr"] = 0.1 / counter\n', "")
                      .replace("torch.randn(8, 3)", "torch.ones(8, 3) * number"))
        parted = self.replay("run", "--from", 4, "--jump")
        self.assertEqual((parted["verdict"], parted["step"], parted["lane"]), ("diverged", 4, "rng"))
        verdict = self.replay("run", "--from", 4, "--jump", "--pin", "rng")
        self.assert_same(verdict, 2)

    def test_what_cannot_be_kept_ends_the_recording_and_not_the_training(self):
        script = self.folder / "script.py"
        script.write_text(LOOP.replace("counter = 0\n", "counter = 0\nsamestep.state('odd', lambda: {'f': print}, print)\n"))
        done = call(SAMESTEP, "record", "--", *python(script), cwd=self.folder)
        self.assertEqual(done.stdout, "6\n")
        self.assertIn('state "odd": cannot keep a builtin_function_or_method', done.stderr)


class Off(RecordingTest):
    """Started plainly, every call returns at once, and misuse is told all the same."""

    def run_plainly(self, text, code=0):
        script = self.folder / "script.py"
        script.write_text(textwrap.dedent(text))
        return self.plain(*python(script), code=code)

    def test_nothing_happens(self):
        done = self.run_plainly(LOOP + "with samestep.step(batch=loss) as s: s.loss(loss); s.hyper('a', 1); s.gradients()\n"
                                       "import sys; print('samestep._hooks' in sys.modules)\n")
        self.assertEqual((done.stdout, done.stderr), ("6\nFalse\n", ""))

    def test_misuse_is_told(self):
        sgd = "torch.optim.SGD(model.parameters(), lr=1)"
        misuses = {
            "[samestep.state('a', lambda: 1, print) for _ in range(2)]": ("ValueError", "a", "taken"),
            "samestep.state('b', lambda: 1)": ("TypeError", "b", "load_state_dict"),
            "samestep.state('c/d', lambda: 1, print)": ("ValueError", "c/d", "slash"),
            "samestep.attach(3, optimizer)": ("TypeError", "torch.nn.Module", "int"),
            "samestep.attach(model, 'sgd')": ("TypeError", "step()", "str"),
            f"samestep.step(optimizer={sgd})": ("ValueError", "attach()"),
            f"samestep.attach(model, {sgd}), samestep.step()": ("ValueError", "several optimizers"),
        }
        told = self.run_plainly(LOOP + f"""
for misuse in {list(misuses)}:
    try: eval(misuse)
    except Exception as error: print(type(error).__name__, error)
    else: print("nothing")
""").stdout.splitlines()[1:]
        self.assertEqual(len(told), len(misuses))
        for line, words in zip(told, misuses.values()):
            for word in words:
                self.assertIn(word, line)

    def test_a_recorder_that_cannot_start(self):
        done = self.run_plainly("import torch, samestep\nsamestep.record('/proc/no/such')\n", code=1)
        self.assertIn("RuntimeError: samestep.record: the recorder did not start", done.stderr)


if __name__ == "__main__":
    unittest.main()

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


COMPILED = LOOP.replace("samestep.attach", "model = torch.compile(model)\nsamestep.attach").replace("counter += 1", "counter = 1")
AVERAGED = """
import copy, samestep, torch
torch.manual_seed(0)
model = torch.nn.Linear(3, 1)
average = copy.deepcopy(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
samestep.attach(model, optimizer)
for number in samestep.steps(6):
    loss = model(torch.randn(8, 3)).square().mean()
    if number > 3:
        loss = loss + average(torch.ones(1, 3)).sum() * model.weight.sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for smooth, raw in zip(average.parameters(), model.parameters()):
            smooth.lerp_(raw, 0.1)
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

    def test_a_compiled_model_is_entered_in_the_middle(self):
        self.recorded(COMPILED)
        verdict = self.replay("run", "--from", 4, "--jump")
        self.assert_same(verdict, 2)
        self.assertIn("started from the anchor at step 4", " ".join(verdict["evidence"]))

    def test_an_average_of_the_weights_is_kept_without_being_named(self):
        self.recorded(AVERAGED)
        self.assert_same(self.replay("run", "--from", 4, "--jump"), 2)

    def test_what_is_attached_again_steps_once(self):
        self.recorded(OWN_AGAIN)
        self.assertEqual(self.inspect("run")["steps"], 6)
        self.assert_same(self.replay("run", "--from", 2), 4)

    def test_what_cannot_be_kept_ends_the_recording_and_not_the_training(self):
        script = self.folder / "script.py"
        script.write_text(LOOP.replace("counter = 0\n", "counter = 0\nsamestep.state('odd', lambda: {'f': print}, print)\n"))
        done = call(SAMESTEP, "record", "--", *python(script), cwd=self.folder)
        self.assertEqual(done.stdout, "6\n")
        self.assertIn('state "odd": cannot keep a builtin_function_or_method', done.stderr)


OWN_AGAIN = """
import samestep, torch

class Own:
    def __init__(self, parameters): self.param_groups = [{"params": list(parameters), "lr": 0.1}]
    def step(self):
        with torch.no_grad():
            for parameter in self.param_groups[0]["params"]: parameter -= 0.1 * parameter.grad

torch.manual_seed(0)
model = torch.nn.Linear(3, 1)
optimizer = Own(model.parameters())
for cell in range(3):
    samestep.attach(model, optimizer)
    samestep.state("optimizer", schedule := getattr(optimizer, "schedule", None) or torch.nn.Linear(1, 1))
    optimizer.schedule = schedule
    for _ in range(2):
        with samestep.step(batch=torch.ones(1)):
            model.zero_grad()
            model(torch.randn(8, 3)).square().mean().backward()
            optimizer.step()
"""


class Off(RecordingTest):
    """Started plainly, every call returns at once, and misuse is told all the same."""

    def run_plainly(self, text, code=0):
        script = self.folder / "script.py"
        script.write_text(textwrap.dedent(text))
        return self.plain(*python(script), code=code)

    def test_nothing_happens_and_misuse_is_told(self):
        sgd = "torch.optim.SGD(model.parameters(), lr=1)"
        misuses = {
            "[samestep.state('a', lambda: 1, print) for _ in range(2)]": ("ValueError", "a", "taken"),
            "samestep.state('b', lambda: 1)": ("TypeError", "b", "load_state_dict"),
            "samestep.state('c/d', lambda: 1, print)": ("ValueError", "c/d", "slash"),
            "exec('with samestep.step():\\n with samestep.step(): pass')": ("RuntimeError", "inside of another one"),
            "samestep.attach(3, optimizer)": ("TypeError", "torch.nn.Module", "int"),
            "samestep.attach(model, 'sgd')": ("TypeError", "step()", "str"),
            f"samestep.step(optimizer={sgd})": ("ValueError", "attach()"),
            f"samestep.attach(other, {sgd}), samestep.step()": ("ValueError", "several optimizers"),
        }
        done = self.run_plainly(LOOP + f"""
other = torch.nn.Linear(1, 1)
with samestep.step(batch=loss) as s: s.loss(loss); s.hyper('a', 1); s.gradients()
import sys; print('samestep._hooks' in sys.modules)
for misuse in {list(misuses)}:
    try: eval(misuse)
    except Exception as error: print(type(error).__name__, error)
    else: print("nothing")
""")
        printed = done.stdout.splitlines()
        self.assertEqual((printed[:2], done.stderr), (["6", "False"], ""))
        told = printed[2:]
        self.assertEqual(len(told), len(misuses))
        for line, words in zip(told, misuses.values()):
            for word in words:
                self.assertIn(word, line)

    def test_a_notebooks_cell_that_is_run_again(self):
        done = self.run_plainly("""
            import sys, types, samestep, torch
            shell = types.SimpleNamespace(execution_count=0)
            sys.modules["IPython"] = types.ModuleType("IPython")
            sys.modules["IPython"].get_ipython = lambda: shell

            def cell(note):
                global model, optimizer
                shell.execution_count += 1
                model = torch.nn.Linear(3, 1)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                samestep.attach(model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 2))
                samestep.state("note", lambda: note, print)
                with samestep.step():
                    pass

            cell(1)
            cell(2)
            from samestep import _kept
            print(_kept._values["note"].get(), _kept._values["scheduler"].of.optimizer is optimizer)
            try: samestep.state("note", lambda: 3, print)
            except ValueError as error: print(error)
        """)
        self.assertEqual(done.stdout, '2 True\nsamestep.state("note"): this name is taken\n')

    def test_values_come_back_as_what_they_were(self):
        told = self.run_plainly("""
            import collections, numpy, torch
            from samestep._encoding import decoded, encoded
            Point = collections.namedtuple("Point", "x y")
            def own(): return 7
            values = [collections.OrderedDict(b=1, a=2), collections.defaultdict(list, a=[1]), collections.defaultdict(own, a=1),
                      collections.Counter("aab"), Point(1, (2.5, None)), torch.Size([3]), collections.deque([1, 2], 5),
                      {"x": [Point(b"y", True)], 3: float("inf")}, (), numpy.float64(0.1), numpy.arange(3), torch.ones(2)]
            for value in values:
                back = decoded("v", encoded("v", value), value)
                assert type(back) is type(value) and repr(back) == repr(value), (back, value)
            assert decoded("v", encoded("v", values[2]), values[2])["new"] == 7
            assert list(decoded("v", encoded("v", values[0]), None)) == ["b", "a"]
            assert decoded("v", encoded("v", Point(1, 2)), None) == Point(1, 2)  # the module's
            for value, words in ((values[2], "function"), (collections.namedtuple("Gone", "z")(1), "Gone")):
                try: decoded("v", encoded("v", value), None)
                except ValueError as error: assert words in str(error), error
                else: raise AssertionError(value)
            for hostile in ('{"namedtuple": [["os", "stat_result"], ["a"], [1]]}', '{"defaultdict": ["eval", []]}', '{"no": 1}',
                            '{"tensor": 9}', '{}', '{"float": 1}', '[' * 100000):
                try: decoded("v", [torch.frombuffer(bytearray(hostile.encode()), dtype=torch.uint8)], None)
                except ValueError: continue
                raise AssertionError(hostile)
            print("done")
        """)
        self.assertEqual(told.stdout, "done\n")

    def test_a_recorder_that_cannot_start(self):
        done = self.run_plainly("import torch, samestep\nsamestep.record('/proc/no/such')\n", code=1)
        self.assertIn("RuntimeError: samestep.record: the recorder did not start", done.stderr)


if __name__ == "__main__":
    unittest.main()

"""Programs that do what most do not: recorded as they are, harmed in nothing, and what differs in them named rightly."""
import pathlib
import sysconfig
import unittest

from recording import HERE, PACKAGE, SAMESTEP, RecordingTest, at_once, call, python

ODD = pathlib.Path(HERE, "odd")
TRAINING = """
import torch
torch.manual_seed(0)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    loss = model(torch.randn(8, 3)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def site_of(base):
    """Where pip installs for the user whose PYTHONUSERBASE that is."""
    return sysconfig.get_path("purelib", sysconfig.get_preferred_scheme("user"), {"userbase": str(base)})


class Odd(RecordingTest):
    def script(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def test_harmless_things(self):
        program = python(ODD / "harmless.py")
        plain, recorded = at_once(lambda: self.plain(*program),
                                  lambda: self.record("run", *program, options=("--anchor-every", 2)))
        self.assertEqual(recorded.stdout, plain.stdout)
        about = self.inspect("run")
        self.assertEqual(about["steps"], int(plain.stdout.split()[-1]))
        self.assertNotIn("state_edited", [event["kind"] for event in about["events"]])
        self.assert_same(self.replay("run"), about["steps"])

    def check_from_start_and_middle(self, name):
        program = python(ODD / name)
        plain, recorded, _ = at_once(lambda: self.plain(*program),
                                     lambda: self.record("run", *program, options=("--anchor-every", 4)),
                                     lambda: self.record("again", *program, options=("--anchor-every", 4)))
        self.assertEqual(recorded.stdout, plain.stdout)
        steps = self.inspect("run")["steps"]
        self.assertEqual(steps, int(plain.stdout.split()[-1]))
        self.assert_same(self.diff("run", "again"), steps)
        start, middle = at_once(lambda: self.replay("run"), lambda: self.replay("run", "--from", steps // 2))
        self.assert_same(start, steps)
        self.assert_same(middle, steps - steps // 2)
        self.assert_led(middle)

    def assert_led(self, verdict):
        """The replay came to its anchor: where it fails there, the same window is answered from the start."""
        self.assertEqual("led without being computed" in " ".join(verdict["evidence"]), self.in_view, verdict["evidence"])

    def test_subjects(self):
        self.check_from_start_and_middle("subjects.py")

    def test_gradients_that_wait_for_another_optimizer_at_an_anchor(self):
        """One loss, three optimizers: of anchors at three steps in a row, two lie between its backward pass and an update."""
        self.record("run", *python(ODD / "subjects.py", "sparse_gradients"), options=("--anchor-every", 1))
        for log in (self.folder / "run").glob("*.h5"):  # though the first update comes before the other models' first calls
            self.assertNotIn(b"unnamed.", log.read_bytes())
        for number in (7, 8):
            verdict = self.replay("run", "--from", number, "--to", number + 2)
            self.assert_same(verdict, 2)
            self.assert_led(verdict)

    def test_when_the_collector_runs_decides_nothing(self):
        """Numbers of optimizers, what their steps cover, and the state of schedules that are no more."""
        never, always = (python(ODD / "collected.py", when) for when in ("never", "always"))
        recorded, _ = at_once(lambda: self.record("never", *never, options=("--anchor-every", 5)),
                              lambda: self.record("always", *always, options=("--anchor-every", 5)))
        steps = int(recorded.stdout.split()[-1])
        verdict = self.diff("never", "always")
        self.assert_same(verdict, steps)
        self.assertEqual(verdict["lanes"]["state"], "equal")
        self.assert_same(self.replay("never", "--", *always), steps)

    def test_more_optimizers_than_a_recording_tells_apart(self):
        program = python(ODD / "collected.py", "never", "70")
        plain, recorded = at_once(lambda: self.plain(*program),
                                  lambda: call(SAMESTEP, "record", "--run", self.folder / "run", "--", *program, cwd=self.folder))
        self.assertEqual(recorded.stdout, plain.stdout)
        (told,) = [event for event in self.inspect("run")["events"] if event["kind"] == "gave_up"]
        self.assertIn("more than 64 optimizers", told["text"])
        self.assertIn("more than 64 optimizers", recorded.stderr)

    def test_a_recording_that_begins_late(self):
        program = python(ODD / "recorded_late.py", self.folder / "run", "--anchor-every", "2")
        done = self.plain(*program, SAMESTEP_PROGRAM=SAMESTEP)
        self.assertIn("recorded 6 steps", done.stderr)
        start, middle = at_once(lambda: self.replay("run"), lambda: self.replay("run", "--from", 3))
        self.assert_same(start, 6)
        self.assertEqual(start["lanes"]["batch"], "equal")
        self.assertEqual(start["lanes"]["state"], "partly" if "state" in start["partly"] else "equal")
        self.assert_same(middle, 3)
        self.assert_led(middle)

    def test_other_tools_that_look_into_functions_and_modules(self):
        program = python(ODD / "other_tools.py")
        plain, recorded = at_once(lambda: self.plain(*program), lambda: self.record("run", *program, options=("--anchor-every", 2)))
        self.assertEqual(recorded.stdout, plain.stdout)
        verdict = self.replay("run")
        self.assert_same(verdict, 4)
        self.assertEqual(verdict["lanes"]["batch"], "equal")

    def test_a_parameter_that_is_used_later_by_hand(self):
        program = python(ODD / "later_by_hand.py")
        at_once(lambda: self.record("run", *program), lambda: self.record("edited", *program, "edited"))
        verdict = self.diff("run", "edited")
        self.assertEqual((verdict["verdict"], verdict["step"], verdict["lane"]), ("diverged", 5, "weights_out"))
        self.assert_same(self.replay("run"), 6)

    def test_two_recordings_of_one_process(self):
        self.plain(*python(ODD / "recorded_twice.py", self.folder / "first", self.folder / "second"), SAMESTEP_PROGRAM=SAMESTEP)
        self.assert_same(self.diff("first", "second"), 4)

    def test_a_second_recording_of_what_was_made_before_it(self):
        words = {"": (self.folder / "first", self.folder / "second"),
                 "collected": (self.folder / "first-collected", self.folder / "second-collected", "collected")}
        programs = [python(ODD / "recorded_again.py", *more) for more in words.values()]
        at_once(*(lambda program=program: self.plain(*program, SAMESTEP_PROGRAM=SAMESTEP) for program in programs))
        for run, steps in (("first", 4), ("second", 6)):
            verdict = self.diff(run, f"{run}-collected")
            self.assert_same(verdict, steps)
            self.assertEqual(verdict["lanes"]["state"], "equal")
        for log in (self.folder / "second").glob("*.h5"):
            self.assertNotIn(b"StepLR.2", log.read_bytes())  # those of the first recording's cell are no more
        verdict = self.replay("second")  # from the second call of record()
        self.assert_same(verdict, 6)
        self.assertEqual(verdict["lanes"]["state"], "equal")

    def test_threads_that_begin_at_once(self):
        recorded = self.record("run", *python(ODD / "threads_at_once.py"))
        self.assertEqual(recorded.stdout, "done\n")
        about = self.inspect("run")
        self.assertEqual((about["steps"], [event["kind"] for event in about["events"]]), (6, ["other_thread"]))

    def test_processes_side_by_side(self):
        """Each has a rank, an anchor and seeds of its own; those of a process group the rank that it gives them."""
        program = python(ODD / "side_by_side.py")
        at_once(lambda: self.record("alone", *program, options=("--anchor-every", 4)),
                lambda: self.record("group", *program, "group", options=("--anchor-every", 4)))
        self.assert_same(self.diff("alone", "alone"), 8)
        for verdict in at_once(*(lambda rank=rank: self.replay("group", "--rank", rank) for rank in (0, 1))):
            self.assert_same(verdict, 8)

    def test_processes_that_were_forked(self):
        """Each is recorded, though no interpreter's end is reached, and digests wait for no thread that is not there; a
        loader's worker is not."""
        program = python(ODD / "forked.py")
        plain, recorded = at_once(lambda: self.plain(*program, OMP_NUM_THREADS="2"),
                                  lambda: self.record("run", *program, options=("--anchor-every", 4), OMP_NUM_THREADS="2"))
        self.assertEqual(recorded.stdout, plain.stdout)
        self.assertEqual([(log["rank"], log["steps"], log["ended"]) for log in self.inspect("run")["segments"]],
                         [(0, 8, "closed"), (1, 8, "exception")])
        for verdict in at_once(*(lambda rank=rank: self.replay("run", "--rank", rank, "--from", 5) for rank in (0, 1))):
            self.assert_same(verdict, 3)

    def test_training_in_a_thread(self):
        self.check_from_start_and_middle("in_a_thread.py")

    def test_what_loaders_gave(self):
        program = python(ODD / "batches.py")
        at_once(*(lambda run=run: self.record(run, *program) for run in ("run", "again")))
        self.assert_same(self.diff("run", "again"), 8)
        permuted, evaluated = at_once(*(lambda edit=edit: self.replay("run", "--", *program, edit)
                                        for edit in ("permuted labels", "other evaluation")))
        self.assertEqual((permuted["verdict"], permuted["step"], permuted["lane"]), ("diverged", 0, "batch"))
        self.assert_same(evaluated, 8)

    def test_nested_and_sparse_batches_and_weights_that_are_swapped(self):
        program = python(ODD / "ragged.py")
        self.check_from_start_and_middle("ragged.py")
        verdict = self.replay("run", "--from", 6)
        self.assert_led(verdict)
        self.assertNotIn("not restored", " ".join(verdict["evidence"]))
        for edited in at_once(*(lambda edit=edit: self.replay("run", "--", *program, edit) for edit in ("offsets", "index"))):
            self.assertEqual((edited["verdict"], edited["step"], edited["lane"]), ("diverged", 5, "batch"), edited["evidence"])

    def test_a_step_that_a_fused_optimizer_skips_on_the_way_to_an_anchor(self):
        self.record("run", *python(ODD / "fused_skip.py"), options=("--anchor-every", 2))
        verdict = self.replay("run", "--from", 6)
        self.assert_same(verdict, 4)
        self.assert_led(verdict)

    def test_pinned_generators_are_numpys_too(self):
        self.record("run", *python(ODD / "drawn_once.py"), options=("--anchor-every", 2))
        self.assertEqual(self.replay("run", "--from", 4, "--jump")["lane"], "rng")
        verdict = self.replay("run", "--from", 4, "--jump", "--pin", "rng")
        self.assert_same(verdict, 2)
        self.assertEqual(verdict["lanes"]["rng"], "partly")  # of its first step it is given

    def test_a_library_that_imports_torch_first(self):
        for name, text in (("lazy", "import importlib.util\nfound = importlib.util.find_spec('torch') is not None\nimport torch\n"),
                           ("train", "import importlib.util, random\nprint(importlib.util.find_spec('random') is not None)\n"
                                     "import lazy\n" + TRAINING)):
            script = self.script(f"{name}.py", text)
        self.record("run", *python(script))
        self.assertEqual(self.inspect("run")["steps"], 3)

    def test_the_end_of_the_log_says_that_the_program_raised(self):
        attached = "import samestep, sys, torch\nrun = samestep.record(sys.argv[1])\n" + TRAINING
        hook = "import sys\nsys.excepthook = lambda *about: print('mine')\nraise RuntimeError('ends here')\n"
        programs = {"launched": TRAINING + hook, "attached": attached + hook,
                    "left": attached + "with run: raise KeyError\n", "closed": attached + "sys.exit(0)\n"}
        scripts = {name: self.script(f"{name}.py", text) for name, text in programs.items()}
        jobs = [lambda: self.record("launched", *python(scripts["launched"]), code=1)]
        jobs += [lambda name=name: self.plain(*python(scripts[name], self.folder / name), code=None, SAMESTEP_PROGRAM=SAMESTEP)
                 for name in ("attached", "left", "closed")]
        at_once(*jobs)
        for name in ("launched", "attached", "left", "closed"):
            ended = self.inspect(name)["segments"][-1]["ended"]
            self.assertEqual(ended, "closed" if name == "closed" else "exception", name)

    def test_a_notebook_stops_while_its_workers_live(self):
        done = self.plain(*python(ODD / "workers_that_stay.py"), SAMESTEP_PROGRAM=SAMESTEP)
        self.assertEqual(done.stdout, "stopped\n")
        self.assertIn("recorded 8 steps", done.stderr)

    def test_a_sitecustomize_that_raises(self):
        own = self.script("own/sitecustomize.py", "raise RuntimeError('mine')\n").parent
        self.record("run", *python(self.script("train.py", TRAINING)), PYTHONPATH=f"{PACKAGE}:{own}")
        self.assertEqual(self.inspect("run")["steps"], 3)

    def test_a_process_that_outlives_the_recording(self):
        script = self.script("late.py", "import os, pathlib, random, time\n"
                                        "folder = os.path.dirname(os.environ['SAMESTEP_SOCKET'])\n"
                                        "while os.path.exists(folder): time.sleep(0.05)\n"
                                        "random.seed(1)\n"
                                        f"pathlib.Path({str(self.folder / 'drawn')!r}).write_text(str(random.random()))\n")
        command = f'"{python()[0]}" "{script}" >/dev/null 2>"{self.folder / "said"}" & exec "{python()[0]}" -c "import time; time.sleep(1)"'
        call(SAMESTEP, "record", "--run", self.folder / "run", "--", "bash", "-c", command, cwd=self.folder, code=None)
        drawn = self.folder / "drawn"
        for _ in range(200):
            if drawn.exists() and drawn.read_text():
                break
            call("sleep", "0.1", cwd=self.folder)
        self.assertEqual(drawn.read_text(), "0.13436424411240122", (self.folder / "said").read_text())

    def test_a_folder_whose_name_is_no_utf_8(self):
        """As Linux allows it, and Python spells it with lone surrogates: what torch takes for text is none of them. Besides,
        names of parts of the model and keys that the program made of such file names."""
        place = self.place("other\udcff")
        named = ("import pathlib, torch, mine\n"
                 "held = {str(pathlib.Path(__file__).absolute()): torch.ones(3, 1)}\n"
                 "layers = torch.nn.ModuleDict({pathlib.Path.cwd().name: torch.nn.Linear(3, 1)})\n")
        trained = TRAINING.replace("model = torch.nn.Linear(3, 1)", "model = torch.nn.Sequential(layers[pathlib.Path.cwd().name])\n"
                                   "model.add_module('\\udcff', layers)").replace("model(torch", "model[0](torch")
        warned = "torch.empty(3).put_(torch.tensor([0]), torch.ones(1))\n"
        (place / "mine.py").write_text("")
        (place / "train.py").write_text(named + trained.replace("    loss.backward()", "    loss.backward()\n    " + warned))
        self.record("run", *python("train.py"), options=("--anchor-every", 2), place="other\udcff")
        about = self.inspect("run")
        self.assertEqual(about["steps"], 3)
        self.assertNotIn("gave_up", [event["kind"] for event in about["events"]])
        self.assert_same(self.replay("run", "--cwd", place), 3)
        self.assert_same(self.replay("run", "--cwd", place, "--from", 2), 1)

    def test_keys_that_a_package_makes_are_the_systems(self):
        """The program's own: its script, and a package in a folder that only sounds like installed ones."""
        draws = "import os, secrets\n\n\ndef key():\n    return os.urandom(8).hex() + str(secrets.randbits(64))\n"
        folders = [self.script(f"{name}/{module}.py", draws).parent for name, module in
                   (("site-packages", "installed"), ("my-packages", "mine"), ("to-site-packages", "too"))]
        users = self.script(pathlib.Path(site_of(self.folder / "user"), "users.py"), draws).parent
        script = self.script("train.py", "import installed, mine, os, too, users\nprint(installed.key(), users.key(), mine.key(), "
                                         "too.key(), os.urandom(4).hex())\n" + TRAINING)
        there = {"PYTHONPATH": ":".join(map(str, (PACKAGE, *folders, users))), "PYTHONUSERBASE": str(self.folder / "user")}
        recorded = self.record("run", *python(script), **there).stdout.split()
        self.replay("run", **there)
        (output,) = self.folder.glob("samestep-runs/*/output.txt")
        equal = [a == b for a, b in zip(recorded, output.read_text().split(), strict=True)]
        self.assertEqual(equal, [False, False, True, True, True])


if __name__ == "__main__":
    unittest.main()

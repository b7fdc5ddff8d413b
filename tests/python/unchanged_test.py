"""Recording changes nothing: output, exit code and compiled graphs of a program are those that it has without.

Programs that end badly, that look at or replace what the hooks use, that start processes, and ways of starting Python. Only
those are run without a recorder too of which it is not obvious what they print. That the weights stay the same is shown with
the programs of programs/, in programs_test.py.
"""
import signal
import subprocess
import sys
import textwrap
import unittest

from recording import PACKAGE, PINS, SAMESTEP, RecordingTest, at_once, python, surroundings

TRAIN = '''
import torch
torch.manual_seed(0)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
def step():
    loss = model(torch.randn(8, 3)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
'''


class Unchanged(RecordingTest):
    def script(self, text, name="script.py"):
        path = self.folder / name
        path.write_text(TRAIN + textwrap.dedent(text))
        return path

    def both(self, *command, code=0, **more):
        """The command's ends without and with a recorder."""
        return at_once(lambda: self.plain(*command, code=code, **PINS, **more),
                       lambda: self.record("run", *command, code=code, **PINS, **more))

    def assert_ends(self, command, steps, printed, code=0, **more):
        """Recorded, the command prints and exits as anybody can tell that it does without."""
        recorded = self.record("run", *command, code=code, **PINS, **more)
        self.assertEqual(recorded.stdout, printed)
        self.assertEqual(self.inspect("run")["steps"], steps)

    def assert_unchanged(self, command, steps, code=0, **more):
        plain, recorded = self.both(*command, code=code, **more)
        self.assertEqual(recorded.stdout, plain.stdout)
        self.assertEqual(self.inspect("run")["steps"], steps)
        return plain, recorded

    # --- ends

    def test_raises(self):
        script = self.script("for _ in range(3): step()\nprint('before')\nraise ValueError('no more')")
        plain, recorded = self.assert_unchanged(python(script), 3, code=1)
        self.assertIn("ValueError: no more", recorded.stderr)
        self.assertTrue(plain.stderr.strip() in recorded.stderr, recorded.stderr)

    def test_exits_with_a_code(self):
        script = self.script("import sys\nfor _ in range(3): step()\nprint('bye')\nsys.exit(3)")
        self.assert_ends(python(script), 3, "bye\n", code=3)

    def test_exits_at_once(self):
        script = self.script("import os\nfor _ in range(3): step()\nprint('bye', flush=True)\nos._exit(4)")
        self.assert_ends(python(script), 3, "bye\n", code=4)

    def signalled(self, number, *before):
        """How a script ends that is sent a signal, as a terminal or a scheduler does, once it says that it waits."""
        script = self.script("import time\nfor _ in range(3): step()\nprint('waiting', flush=True)\ntime.sleep(300)")
        process = subprocess.Popen([str(word) for word in (*before, *python(script))], cwd=self.folder, env=surroundings(),
                                   text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), "waiting\n")
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
        return (process.returncode if process.returncode >= 0 else 128 - process.returncode), errors

    def recorded_signalled(self, number):
        ended = self.signalled(number, SAMESTEP, "record", "--run", self.folder / "run", "--")
        self.assertEqual(self.inspect("run")["steps"], 3)
        return ended

    def test_interrupted_from_the_keyboard(self):
        """Python's exit code depends on what else runs at its exit."""
        (code, said), (recorded_code, recorded_said) = at_once(lambda: self.signalled(signal.SIGINT),
                                                               lambda: self.recorded_signalled(signal.SIGINT))
        self.assertEqual(recorded_code, code)
        self.assertEqual(said.splitlines()[-1], "KeyboardInterrupt")
        self.assertIn("KeyboardInterrupt", recorded_said.splitlines())

    def test_terminated(self):
        self.assertEqual(self.recorded_signalled(signal.SIGTERM)[0], 128 + signal.SIGTERM)

    def test_killed(self):
        script = self.script("import os\nfor _ in range(3): step()\nprint('bye', flush=True)\nos.kill(os.getpid(), 9)")
        self.assert_ends(python(script), 3, "bye\n", code=128 + 9)

    # --- programs that meddle

    def test_reads_our_variables(self):
        script = self.script("""
            import os
            for name in [name for name in os.environ if name.startswith("SAMESTEP_")]: del os.environ[name]
            for _ in range(3): step()
            print(len(os.environ) > 0)
            """)
        self.assert_ends(python(script), 3, "True\n")

    def test_replaces_hooks(self):
        script = self.script("""
            import sys
            sys.excepthook = lambda kind, value, trace: print("my own:", value)
            plain_step, plain_call, plain_backward = torch.optim.SGD.step, torch.nn.Module.__call__, torch.autograd.backward
            calls = []
            torch.optim.SGD.step = lambda self, *a, **k: (calls.append("step"), plain_step(self, *a, **k))[1]
            torch.nn.Module.__call__ = lambda self, *a, **k: (calls.append("call"), plain_call(self, *a, **k))[1]
            torch.autograd.backward = lambda *a, **k: (calls.append("backward"), plain_backward(*a, **k))[1]
            for _ in range(3): step()
            print(calls)
            raise ValueError("caught")
            """)
        self.assert_unchanged(python(script), 3, code=1)

    # --- torch.compile

    def test_compiles_as_much_as_without(self):
        script = self.script("""
            import torch._dynamo
            from torch import nn
            class Block(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layer, self.norm = nn.Linear(3, 3), nn.LayerNorm(3)
                def forward(self, x): return self.norm(self.layer(x)).relu()
            def two(): return nn.Sequential(Block(), Block())
            def compiled(f): return torch.compile(f, backend="eager")
            def tell(what):
                counted = torch._dynamo.utils.counters
                print(what, counted["stats"]["unique_graphs"], counted["stats"]["calls_captured"], dict(counted["graph_break"]))
                torch._dynamo.reset()
                counted.clear()
            def train(model, updates, call=None):
                for _ in range(3):
                    (call or model)(torch.randn(4, 3)).pow(2).mean().backward()
                    updates(model)
            def by_hand(model):
                with torch.no_grad():
                    for p in model.parameters(): p.sub_(p.grad)
                model.zero_grad()
            del optimizer
            early = compiled(two())
            early(torch.ones(4, 3)); early.eval()
            with torch.no_grad(): early(torch.ones(4, 3))
            tell("before anything is trained")
            model = two(); model.compile(backend="eager")
            train(model, by_hand)
            tell("by hand")
            for inner in (0, 1):
                model = two(); model[inner] = compiled(model[inner])
                sgd = torch.optim.SGD(model.parameters(), lr=0.1)
                train(model, lambda _: (sgd.step(), sgd.zero_grad()))
                tell(f"layer {inner} of a class seen before")
            model = two()
            adam = torch.optim.Adam(model.parameters())
            train(model, lambda _: (adam.step(), adam.zero_grad()), compiled(lambda x: model(x)))
            tell("a function")
            """)
        self.assert_unchanged(python(script), 9)

    # --- processes

    def test_forks(self):
        script = self.script("""
            import multiprocessing
            def work(queue): queue.put(model(torch.ones(1, 3)).item())
            step()
            context = multiprocessing.get_context("fork")
            queue = context.Queue()
            workers = [context.Process(target=work, args=(queue,)) for _ in range(2)]
            for worker in workers: worker.start()
            print([f"{queue.get():.6f}" for _ in workers])
            for worker in workers: worker.join()
            step()
            """)
        self.assert_unchanged(python(script), 2)

    def test_spawns(self):
        script = self.folder / "script.py"
        script.write_text("import torch, multiprocessing\n"
                          "def work(queue): queue.put(torch.ones(3).sum().item())\n"
                          "if __name__ == '__main__':\n" + textwrap.indent(TRAIN, "    ") + textwrap.indent(textwrap.dedent("""
            step()
            context = multiprocessing.get_context("spawn")
            queue = context.Queue()
            worker = context.Process(target=work, args=(queue,))
            worker.start()
            print(queue.get())
            worker.join()
            step()
            """), "    "))
        self.assert_ends(python(script), 2, "3.0\n")

    # --- ways of starting

    def test_started_as_a_module(self):
        self.script("for _ in range(3): step()\nimport sys\nprint(__name__, len(sys.argv))", "my_training.py")
        path = f"{PACKAGE}:{self.folder}"
        self.assert_ends(python("-m", "my_training", "--rate", "1"), 3, "__main__ 3\n", PYTHONPATH=path)

    def test_started_by_a_shell_script(self):
        script = self.script("for _ in range(3): step()\nprint('trained')")
        shell = self.folder / "run.sh"
        shell.write_text(f'set -e\n"{sys.executable}" -c "print(1)"\n"{sys.executable}" "{script}"\necho done\n')
        self.assert_ends(("bash", shell), 3, "1\ntrained\ndone\n")

    def test_keeps_the_users_own_start_up(self):
        own = self.folder / "own"
        own.mkdir()
        (own / "sitecustomize.py").write_text("import builtins\nbuiltins.mine = 'from my sitecustomize'\n")
        (own / "startup.py").write_text("print('only when interactive')\n")
        script = self.script("import os\nfor _ in range(3): step()\nprint(mine, os.environ['PYTHONSTARTUP'] != '')")
        self.assert_ends(python(script), 3, "from my sitecustomize True\n", PYTHONPATH=f"{PACKAGE}:{own}",
                         PYTHONSTARTUP=str(own / "startup.py"))


if __name__ == "__main__":
    unittest.main()

"""The demonstration: a GPT of 0.8 million parameters, 200 steps on a real text, anchors every 50; the replay of steps
120 to 199 from the anchor at 100 is identical; with one bit of one weight changed in that anchor it is refused, and
tensor, element, old and new value are named."""
import os
import shutil
import struct
import subprocess
import sys
import unittest

from harness import *

TENSOR, ELEMENT, BIT = "blocks.0.attention.qkv.weight", 1234, 21
INDEX = "[9, 82]"  # of that element: a row has 128
LANES = ["weights_in", "rng", "batch", "hyper", "loss", "gradients", "optimizer", "weights_out"]


def element_of(file, tensor, element):
    """A float of a safetensors file."""
    content = file.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8:8 + length])
    name = next(name for name in header if name.endswith("/" + tensor) and not name.startswith("optimizer"))
    (value,) = struct.unpack_from("<f", content, 8 + length + header[name]["data_offsets"][0] + 4 * element)
    return name, value


class Demo(SystemTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = surroundings(threads=2)
        cls.gpt = recorded(cls.root / "gpt", TRAIN, "--config", SOURCE / "configs" / "gpt.toml", "--steps", 200, "--seed", 7,
                           options=["--anchor-every", 50], env=cls.env)

    def test_the_model_is_large_enough_and_learns(self):
        self.assertGreaterEqual(int(self.gpt.stdout.split()[1]), 800_000)
        losses = [point["loss"] for point in self.gpt.inspect()["loss"]]
        self.assertEqual(len(losses), 200)
        self.assertLess(losses[-1], losses[0] - 1.5)

    def test_the_middle_replays_identically(self):
        got = replay(self.gpt, "--from", 120, "--to", 200, env=self.env)
        self.assertVerdict(got, SAME, "same")
        self.assertEqual(got.verdict["steps_compared"], 80)
        self.assertTrue(got.says("anchor at step 100"), got.verdict)
        for lane in LANES:
            self.assertEqual(got.verdict["lanes"][lane], "equal", lane)

    def test_one_changed_bit_of_the_anchor_is_refused_and_named(self):
        edited = Recording(self.root / "edited", 0, "", "")
        shutil.copytree(self.gpt.path, edited.path)
        anchor = edited.path / "anchors" / "000000100-r0000.safetensors"
        name, old = element_of(anchor, TENSOR, ELEMENT)
        flipped = run(sys.executable, SOURCE / "scripts" / "flip_bit.py", anchor, name, ELEMENT, BIT)
        self.assertEqual(flipped.returncode, 0, flipped.stderr)
        _, new = element_of(anchor, TENSOR, ELEMENT)
        got = replay(edited, "--from", 120, "--to", 200, env=self.env)
        self.assertVerdict(got, TAMPERED, "tampered")
        said = " ".join(got.verdict["evidence"])
        for part in (TENSOR, INDEX, f"is {new:.5g}"[:9], f"was {old:.5g}"[:9]):
            self.assertIn(part, said)


class DemoHistory(SystemTest):
    """The repository of the demo's bisect; the demo itself holds it to its answer."""

    def git(self, *words):
        done = run("git", "-C", self.root / "history", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_each_of_seven_commits_is_a_program_and_one_swaps_the_betas(self):
        made = run(sys.executable, SOURCE / "scripts" / "demo_history.py", self.root / "history")
        self.assertEqual(made.returncode, 0, made.stderr)
        commits = self.git("rev-list", "--reverse", "main").split()
        self.assertEqual((len(commits), self.git("rev-parse", "v1.0").strip()), (7, commits[0]))
        programs = [self.git("show", f"{commit}:train.py") for commit in commits]
        for program in programs:
            compile(program, "train.py", "exec")
        self.assertEqual(["(0.9, 0.99)" in program for program in programs], [True] * 4 + [False] * 3)
        self.assertEqual(self.git("log", "-1", "--format=%s", commits[4]).strip(), "Name the optimizer's options")

    def test_the_commit_that_the_demo_expects_is_the_one_that_swaps_them(self):
        self.assertIn("Name the optimizer's options", (SOURCE / "scripts" / "demo.sh").read_text())


# What the demo calls, answering at once: each call is noted, and each answer is as the demo promises unless CODE_OF_<verb> says
# otherwise.
FAKE_SAMESTEP = """#!/bin/sh
echo "$*" >>"$CALLS"
for word; do case $word in samestep-runs/*|/*/samestep-runs/*) last=$word ;; esac; done
case $1 in
  doctor) echo '{}' ;;
  record) mkdir -p "$3/anchors"; exit ${CODE_OF_record:-0} ;;
  replay) case $2 in *-edited) exit ${CODE_OF_edited:-4} ;; *) exit ${CODE_OF_replay:-0} ;; esac ;;
  bisect) mkdir -p "$last"; echo "# first divergent commit: [x] ${SUBJECT:-Name the optimizer's options}" >"$last/bisect.log"
          exit ${CODE_OF_bisect:-0} ;;
esac
"""
FAKE_PYTHON = """#!/bin/sh
echo "python $*" >>"$CALLS"
case $1 in scripts/demo_history.py) exec {python} {source}/$1 "$2" ;; esac
"""


class DemoScript(SystemTest):
    """scripts/demo.sh itself: that it asks for what it shows, and fails where an answer is not the one it promises."""

    def setUp(self):
        self.here = self.root / self._testMethodName
        (self.here / "scripts").mkdir(parents=True)
        (self.here / ".venv/bin").mkdir(parents=True)
        shutil.copy(SOURCE / "scripts" / "demo.sh", self.here / "scripts")
        self.program("scripts/setup.sh", "#!/bin/sh\n")
        self.program(".venv/bin/samestep", FAKE_SAMESTEP)
        self.program(".venv/bin/python", FAKE_PYTHON.format(python=sys.executable, source=SOURCE))

    def program(self, name, text):
        (self.here / name).write_text(text)
        (self.here / name).chmod(0o755)

    def demo(self, **answers):
        calls = self.here / "calls"
        calls.write_text("")
        done = run(self.here / "scripts" / "demo.sh", env=surroundings(CALLS=str(calls), **answers))
        shutil.rmtree(self.here / "samestep-runs")
        return done, [line.split()[0] for line in calls.read_text().splitlines()]

    def test_asks_for_all_that_it_promises(self):
        done, calls = self.demo()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(calls, ["doctor", "record", "inspect", "replay", "python", "replay", "python", "record", "bisect"])
        for number in range(1, 8):
            self.assertIn(f"\n\033[1m{number}. ", done.stdout)

    def test_fails_where_an_answer_is_another_one(self):
        for verb, code in ("record", 2), ("replay", 1), ("edited", 0), ("bisect", 3):
            done, _ = self.demo(**{f"CODE_OF_{verb}": str(code)})
            self.assertEqual((done.returncode, f"exit code {code}, expected" in done.stderr), (1, True), verb + done.stderr)
        done, _ = self.demo(SUBJECT="Add a test")
        self.assertEqual((done.returncode, done.stderr), (1, "demo: another commit was named\n"))

    @unittest.skipUnless(os.environ.get("SAMESTEP_FULL"), "takes minutes and the set-up: SAMESTEP_FULL=1 runs it")
    def test_shows_all_that_it_promises(self):
        done = subprocess.run([SOURCE / "scripts" / "demo.sh"], capture_output=True, text=True, timeout=3600)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("The runs are kept in", done.stdout)


if __name__ == "__main__":
    unittest.main()

"""What the environment excuses and what it does not: other threads or instructions make a replay incomparable, with
step, lane and tensor named although the printed loss may agree; a rebuilt trainer with one changed constant diverged,
and the changed file is a suspect."""
import shutil
import unittest

from harness import *

GPT = [TRAIN, "--model", "gpt", "--steps", 6, "--eval-every", 0, "--eval-batches", 1]
BEST = {"avx512f": "AVX512", "avx2": "AVX2"}


def capability():
    flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    return next((name for flag, name in BEST.items() if flag in flags), "DEFAULT")


class Settings(SystemTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gpt = recorded(cls.root / "gpt", *GPT, env=surroundings(threads=2))

    def check(self, name, value):
        got = replay(self.gpt, "--set", f"{name}={value}", env=surroundings(threads=2))
        self.assertVerdict(got, INCOMPARABLE, "incomparable")
        step, lane, tensor = got.place()
        self.assertIsNotNone(step)
        self.assertTrue(lane and tensor, got.verdict)
        self.assertTrue(any(name in line for line in got.verdict["suspects"] + got.verdict["evidence"]), got.verdict)
        ignoring = replay(self.gpt, "--set", f"{name}={value}", "--ignore-environment", env=surroundings(threads=2))
        self.assertVerdict(ignoring, DIVERGED, "diverged")
        self.assertEqual(ignoring.place(), (step, lane, tensor))
        print(f"{name}={value}: step {step}, {lane}, {tensor}", flush=True)

    def test_nothing_set_is_the_same(self):
        self.assertVerdict(replay(self.gpt, env=surroundings(threads=2)), SAME, "same")

    def test_one_thread_instead_of_two(self):
        self.check("OMP_NUM_THREADS", 1)

    @unittest.skipUnless(capability() == "AVX512", "this processor has nothing above AVX2")
    def test_avx2_instead_of_avx512(self):
        self.check("ATEN_CPU_CAPABILITY", "avx2")


class Rebuilt(SystemTest):
    def test_a_changed_constant_diverges_and_its_file_is_a_suspect(self):
        trainer = self.root / "trainer"
        shutil.copy(EDITED, trainer)
        before = recorded(self.root / "before", trainer, 20)
        shutil.copy(REBUILT, self.root / "new")
        os.replace(self.root / "new", trainer)
        after = recorded(self.root / "after", trainer, 20)
        for got in (replay(before), diff(before, after)):
            self.assertVerdict(got, DIVERGED, "diverged")
            self.assertEqual(got.place(), (0, "hyper", "0.group0.momentum"))
            self.assertTrue(any(str(trainer) in suspect for suspect in got.verdict["suspects"]), got.verdict)


if __name__ == "__main__":
    unittest.main()

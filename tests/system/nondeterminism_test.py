"""Noise is told from change: a trainer that differs from itself is `flaky`, a single corrupted step that does not come
back is a one-off, and another seed is another training from its first step."""
import unittest

from harness import *

STEPS = 40
SEEDS = 5


class Nondeterminism(SystemTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plain = recorded(cls.root / "plain", EDITED, STEPS, options=["--anchor-every", 8])

    def each_seed(self, check):
        for got in side_by_side(check, range(SEEDS)):
            self.assertVerdict(got, INCOMPARABLE, "flaky")
            self.assertEqual(got.verdict["class"], "nondeterministic")
            yield got

    def fresh_folder(self, name):
        """Where the trainer leaves a mark, so that it goes wrong only once."""
        folder = self.root / name
        folder.mkdir()
        return folder

    def test_noise_from_the_system_is_flaky(self):
        def check(seed):
            step = drawn("noise", seed).randrange(1, STEPS)
            noisy = recorded(self.root / f"noisy-{seed}", EDITED, STEPS, "urandom", step, "-",
                             options=["--anchor-every", 8])
            got = replay(noisy, "--from", max(0, step - 2))
            return got if got.verdict["step"] == step else self.fail((step, got.verdict))
        for got in self.each_seed(check):
            self.assertFalse(got.says("one-off"), got.verdict)

    def test_a_step_corrupted_once_in_the_replay_is_a_one_off(self):
        def check(seed):
            step = drawn("once", seed).randrange(1, STEPS)
            command = [EDITED, STEPS, "once", step, self.fresh_folder(f"mark-{seed}")]
            # In place: in a view the second replay would find no mark and go wrong as well.
            return replay(self.plain, "--in-place", "--from", max(0, step - 2), command=command)
        for got in self.each_seed(check):
            self.assertTrue(got.says("one-off"), got.verdict)

    def test_a_step_corrupted_once_in_the_recording_is_a_one_off(self):
        def check(seed):
            step = drawn("recorded once", seed).randrange(1, STEPS - 10)
            recording = recorded(self.root / f"recorded-once-{seed}", EDITED, STEPS, "once", step,
                                 self.fresh_folder(f"recorded-mark-{seed}"), options=["--anchor-every", 8])
            # In place: a view hides the recording's mark, and the replay would go wrong as the recording did.
            return replay(recording, "--in-place", "--from", max(0, step - 2))
        for got in self.each_seed(check):
            self.assertTrue(got.says("one-off"), got.verdict)

    def test_another_seed_parts_from_step_0(self):
        def of_seed(seed):
            return recorded(self.root / f"seed-{seed}", TRAIN, "--model", "mlp", "--batch", 64, "--steps", 10, "--seed", seed)
        seven, eight = side_by_side(of_seed, [7, 8])
        got = diff(seven, eight)
        self.assertVerdict(got, DIVERGED, "diverged")
        self.assertEqual((got.verdict["step"], got.verdict["last_same_step"]), (0, None))


if __name__ == "__main__":
    unittest.main()

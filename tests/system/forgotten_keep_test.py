"""A trainer whose author forgot session.keep(): a replay from an anchor parts in `batch` at the anchor's step, and the
answer says what to add."""
import unittest

from harness import *


class ForgottenKeep(SystemTest):
    def test_a_replay_from_an_anchor_says_what_to_add(self):
        recording = recorded(self.root / "run", FORGETFUL, options=["--anchor-every", 5])
        got = replay(recording, "--from", 12)
        self.assertVerdict(got, DIVERGED, "diverged")
        self.assertEqual(got.place(), (10, "batch", "#0"))
        self.assertTrue(got.says("session.keep("), got.verdict)

    def test_from_the_start_it_is_the_same(self):
        recording = recorded(self.root / "from the start", FORGETFUL)
        self.assertVerdict(replay(recording, "--to", 5), SAME, "same")


if __name__ == "__main__":
    unittest.main()

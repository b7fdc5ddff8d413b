"""Scripts written as people write them, recorded and replayed without an edit.

Each program of programs/ runs in folders of its own: plainly, recorded, replayed from the start and from the middle. Its printed
lines and the weights it ends with must be those of the plain run, the number of recorded steps its own. Two recordings, of
equal chains, are made of those of which it is least certain, and with SAMESTEP_FULL=1 of every one. About 7 s a program on two
idle cores, nearly all of it four imports of torch.
"""
import os
import pathlib
import unittest

from recording import HERE, PINS, RecordingTest, at_once, python

PROGRAMS = pathlib.Path(HERE, "programs")
NO_PARAMETERS = {"bare_tensors"}
# What diff says two recordings were not seeded with, or with other numbers.
UNSEEDED = {"unseeded": ("torch.manual_seed(N)", "numpy.random.seed(N)", "random.seed(N)"), "clock_seeded": ("and", "in the second")}
TWICE = {*UNSEEDED, "loader_workers", "persistent_workers", "gan", "compiled", "by_hand"}
FULL = os.environ.get("SAMESTEP_FULL")
COMPUTED = {"compiled", "compiled_step"}  # cannot be brought to an anchor
FORWARDED = "led without being computed"
# Lanes that must be equal in a replay; all programs have them. The optimizer's state is read at every 16th step.
LANES = ("weights_in", "rng", "batch", "hyper", "loss", "gradients", "weights_out")


class Programs(RecordingTest):
    """One test a program; see add_tests()."""

    def check_recorded_alike(self, name, steps):
        if (self.folder / "second").exists():
            self.assert_same(self.diff("first", "second"), steps)
        self.assertEqual(self.left("first"), self.left("plain"))
        self.assertEqual(name in NO_PARAMETERS, not self.left("plain"))

    def check_named_sources(self, name):
        verdict = self.diff("first", "second")
        self.assertEqual(verdict["verdict"], "diverged")
        for words in UNSEEDED[name]:
            self.assertIn(words, " ".join(verdict["evidence"]))

    def walk(self, name):
        program = python(PROGRAMS / f"{name}.py")
        seeded = name not in UNSEEDED
        record = lambda run: self.record(run, *program, options=("--anchor-every", 2), **self.leaving(run))  # noqa: E731
        runs = [lambda: record("first")]
        runs += [lambda: self.plain(*program, **PINS, **self.leaving("plain"))] * seeded
        runs += [lambda: record("second")] * (name in TWICE or bool(FULL))
        printed, *others = [done.stdout for done in at_once(*runs)]
        steps = int(printed.split()[-1])
        self.assertEqual(self.inspect("first")["steps"], steps)
        if seeded:
            self.assertEqual(set(others), {printed})
            self.check_recorded_alike(name, steps)
        else:
            self.check_named_sources(name)
        whole, middle = at_once(lambda: self.replay("first"), lambda: self.replay("first", "--from", steps // 2))
        self.assert_same(whole, steps)
        self.assert_same(middle, steps - steps // 2)
        forwards = self.in_view and name not in COMPUTED
        self.assertEqual(FORWARDED in " ".join(middle["evidence"]), forwards, middle["evidence"])
        for verdict in (whole, middle):
            self.check_lanes(verdict)

    def check_lanes(self, verdict):
        """The optimizer's state stands in every record before an anchor, and is read there again."""
        found = {lane: verdict["lanes"][lane] for lane in (*LANES, "optimizer")}
        self.assertEqual(found, dict.fromkeys(found, "equal"))


def add_tests():
    for program in sorted(PROGRAMS.glob("*.py")):
        setattr(Programs, f"test_{program.stem}", lambda self, name=program.stem: self.walk(name))


add_tests()

if __name__ == "__main__":
    unittest.main()

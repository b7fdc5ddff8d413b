"""Scripts written as people write them, recorded and replayed without an edit.

Each program of programs/ runs in folders of its own: plainly, recorded twice, replayed from the start and from the middle.
Its printed lines and the weights it ends with must be those of the plain run, the number of recorded steps its own. About 8 s a program on two idle cores,
nearly all of it five imports of torch.
"""
import pathlib
import unittest

from recording import HERE, PACKAGE, PINS, RecordingTest, at_once, python

PROGRAMS = pathlib.Path(HERE, "programs")
LEAVE_WEIGHTS = pathlib.Path(HERE, "leave_weights")
NO_PARAMETERS = {"bare_tensors"}
UNSEEDED = {"unseeded", "clock_seeded"}
COMPUTED = {"compiled"}  # cannot be brought to an anchor
FORWARDED = "led without being computed"
# Lanes that must be equal in a replay; all programs have them.
LANES = ("weights_in", "rng", "hyper", "loss", "gradients", "weights_out")


class Programs(RecordingTest):
    """One test a program; see add_tests()."""

    def leaving(self, run):
        """The environment in which a program leaves a digest of its weights."""
        return {"PYTHONPATH": f"{PACKAGE}:{LEAVE_WEIGHTS}", "LEAVE_WEIGHTS": str(self.folder / f"{run}.weights")}

    def left(self, run):
        return (self.folder / f"{run}.weights").read_text()

    def walk(self, name):
        program = python(PROGRAMS / f"{name}.py")
        seeded = name not in UNSEEDED
        record = lambda run: self.record(run, *program, options=("--anchor-every", 2), **self.leaving(run))  # noqa: E731
        runs = [lambda: record("first")]
        if seeded:
            runs += [lambda: self.plain(*program, **PINS, **self.leaving("plain")), lambda: record("second")]
        printed, *others = [done.stdout for done in at_once(*runs)]
        steps = int(printed.split()[-1])
        self.assertEqual(self.inspect("first")["steps"], steps)
        self.assertEqual(others, [printed] * len(others))
        if seeded:
            self.assert_same(self.diff("first", "second"), steps)
            self.assertEqual(self.left("first"), self.left("plain"))
            self.assertEqual(name in NO_PARAMETERS, not self.left("plain"))
        whole, middle = at_once(lambda: self.replay("first"), lambda: self.replay("first", "--from", steps // 2))
        self.assert_same(whole, steps)
        self.assert_same(middle, steps - steps // 2)
        forwards = self.in_view and name not in COMPUTED
        self.assertEqual(FORWARDED in " ".join(middle["evidence"]), forwards, middle["evidence"])
        for lane in LANES:
            self.assertEqual(middle["lanes"][lane], "equal", f"{name}: {middle['lanes']}")


def add_tests():
    for program in sorted(PROGRAMS.glob("*.py")):
        setattr(Programs, f"test_{program.stem}", lambda self, name=program.stem: self.walk(name))


add_tests()

if __name__ == "__main__":
    unittest.main()

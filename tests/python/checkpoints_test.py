"""Programs that look for a checkpoint of their own: what they do depends on the folder they run in.

Each of checkpoints/ is recorded in one go, and in two: the second run resumes from what the first left. The resume is recorded as a
continuation and must be the training that was not interrupted, step for step. A replay sees the folder as the recording found
it: without a checkpoint, or with the one that was overwritten since.
"""
import pathlib
import unittest

from recording import HERE, RecordingTest, at_once, python

ANCHORS = ["--anchor-every", "2"]
SCRIPTS = pathlib.Path(HERE, "checkpoints")


class Checkpoints(RecordingTest):
    def in_parts(self, script):
        first = self.record("parts", *python(script, 6), options=ANCHORS)
        second = self.record("parts", *python(script, 6), options=["--continue", *ANCHORS])
        return first.stdout, second.stdout

    def walk(self, name, windows):
        script = SCRIPTS / f"{name}.py"
        whole, (first, second) = at_once(lambda: self.record("whole", *python(script, 12), options=ANCHORS).stdout, lambda: self.in_parts(script))
        self.assertEqual([text.splitlines()[0].split()[1] for text in (whole, first, second)], ["0", "0", "6"])
        self.assertEqual(whole.split()[3], second.split()[3])  # the last loss
        self.assertEqual([int(text.split()[-1]) for text in (whole, first, second)], [12, 6, 6])
        self.assertEqual(self.inspect("parts")["steps"], 12)
        self.assert_same(self.diff("whole", "parts"), 12)
        self.assert_same(self.replay("whole"), 12)
        if not self.in_view:
            return  # said; in place the program finds what it has left
        for run, begin, end in windows:
            self.assert_same(self.replay(run, "--from", begin, "--to", end), end - begin)

    def test_resumes_if_there(self):
        self.walk("resumes_if_there", (("whole", 7, 12), ("parts", 2, 5), ("parts", 6, 12)))

    def test_overwrites_its_checkpoint(self):
        self.walk("overwrites_its_checkpoint", (("parts", 6, 12), ("parts", 9, 12)))


if __name__ == "__main__":
    unittest.main()

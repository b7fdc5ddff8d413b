"""20 kills of the real trainer and 20 of the recorder with SIGKILL, at moments drawn from a seed between the first and
the last step: the log is complete to its last acknowledged step, says how it ended, and can be inspected, compared and
replayed; a trainer whose recorder dies says so once and trains on. Prints how many steps each run had.
"""
import signal
import subprocess
import time
import unittest

from harness import *

KILLS = 20
STEPS = 300
AHEAD = 8  # steps a trainer may be ahead of the last acknowledged one
TRAINING = [TRAIN, "--model", "mlp", "--batch", 64, "--width", 256, "--steps", STEPS, "--log-every", 1,
            "--full-precision", "--eval-every", 0]


def steps_printed(output):
    return sum(line.startswith("step ") for line in output.splitlines())


def child_of(pid):
    """The training program that the recorder started."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return next(int(child) for child in children if os.readlink(f"/proc/{child}/exe") == os.path.realpath(TRAIN))


class Kills(SystemTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reference = recorded(cls.root / "reference", *TRAINING)
        times = cls.root / "times"
        recorded(cls.root / "pace", *TRAINING, "--step-times", times)
        cls.duration = sum(float(line) for line in times.read_text().split()) / 1000

    def start(self, name):
        """A recording that has printed its first step; returns recorder, and the trainer's process id."""
        process = subprocess.Popen([SAMESTEP, "record", "--run", self.root / name, "--anchor-every", "50", "--"]
                                   + [str(word) for word in TRAINING], env=surroundings(), bufsize=0,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        head = process.stdout.readline() + process.stdout.readline()  # unbuffered, so that communicate() has the rest
        return process, child_of(process.pid), head

    def kill(self, what, number):
        """Kills one of the two at a moment between first and last step; draws again where the training was over."""
        for attempt in range(20):
            name = f"{what}-{number}-{attempt}"
            process, trainer, head = self.start(name)
            time.sleep(drawn(what, number, attempt).random() * self.duration)
            try:
                os.kill(trainer if what == "trainer" else process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            rest, errors = process.communicate(timeout=TIMEOUT)
            if process.returncode != 0:
                return Recording(self.root / name, process.returncode, (head + rest).decode(), errors.decode())
        self.fail("the training was always over before the kill")

    def check_log(self, recording):
        """Whatever was killed: what was recorded is whole, equals the reference, and can be replayed."""
        seen = recording.inspect()
        compared = diff(self.reference, recording)
        self.assertVerdict(compared, SAME, "same")
        self.assertEqual(compared.verdict["steps_compared"], seen["steps"])
        replayed = replay(recording, "--from", max(0, seen["steps"] - 20))
        self.assertVerdict(replayed, SAME, "same")
        return seen

    def check_killed_trainer(self, number):
        recording = self.kill("trainer", number)
        seen = self.check_log(recording)
        self.assertEqual(recording.code, 128 + signal.SIGKILL)
        # Killed after its session said goodbye, while it left: then nothing is missing.
        whole = seen["steps"] == self.reference.inspect()["steps"]
        self.assertIn(seen["segments"][-1]["ended"], ("killed by signal 9", "closed")[:2 if whole else 1])
        self.assertGreaterEqual(seen["steps"], steps_printed(recording.stdout) - AHEAD)
        return seen["steps"]

    def check_killed_recorder(self, number):
        recording = self.kill("recorder", number)
        seen = self.check_log(recording)
        self.assertEqual(recording.code, -signal.SIGKILL)
        self.assertEqual(recording.stdout, self.reference.stdout, "the training went on to its end")
        said = [line for line in recording.stderr.splitlines() if "recorder has gone" in line]
        # Killed while it wrote its last words, it leaves a trainer that has nothing to miss.
        whole = seen["steps"] == self.reference.inspect()["steps"]
        self.assertLessEqual(0 if whole else 1, len(said), recording.stderr)
        self.assertLessEqual(len(said), 1, recording.stderr)
        return seen["steps"]

    def test_the_trainer_is_killed(self):
        print("steps of each run:", *side_by_side(self.check_killed_trainer, range(KILLS)), flush=True)

    def test_the_recorder_is_killed(self):
        print("steps of each run:", *side_by_side(self.check_killed_recorder, range(KILLS)), flush=True)


if __name__ == "__main__":
    unittest.main()

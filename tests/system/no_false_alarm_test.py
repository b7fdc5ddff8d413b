"""No false alarm: 100 pairs of recordings of the same training have equal chains. They go over the three built-in
trainers, each pair with a seed of its own. In every second pair one of the two runs in another folder, under another
host name, time zone and locale, and while another program uses the processor.

The host name is set in a UTS namespace of its own where the kernel lets us, and only as HOSTNAME where not.
"""
import contextlib
import subprocess
import sys
import unittest

from harness import *

PAIRS = 100
TRAININGS = [("mlp", ["--batch", 64, "--steps", 12, "--eval-every", 5]),
             ("convnet", ["--batch", 64, "--width", 16, "--steps", 12, "--eval-every", 5]),
             ("gpt", ["--steps", 6, "--eval-every", 3, "--eval-batches", 1])]


def may_rename_host():
    return run("unshare", "--uts", "hostname", "elsewhere").returncode == 0


@contextlib.contextmanager
def load():
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


class NoFalseAlarm(SystemTest):
    def train(self, pair, name, elsewhere):
        model, options = TRAININGS[pair % len(TRAININGS)]
        command = [TRAIN, "--model", model, "--seed", pair, *options]
        if not elsewhere:
            return recorded(self.root / name, *command, env=surroundings(threads=2, TZ="UTC", LC_ALL="C"))
        folder = self.root / "somewhere else" / name
        folder.mkdir(parents=True)
        env = surroundings(threads=2, TZ="Pacific/Chatham", LC_ALL="C.UTF-8", HOSTNAME="elsewhere", HOME=str(folder))
        rename = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere; exec "$@"', "sh"] if self.renames else []
        with load():
            return recorded(self.root / name, *command, env=env, cwd=folder, prefix=rename)

    def pair(self, pair):
        first = self.train(pair, f"{pair}-a", elsewhere=False)
        second = self.train(pair, f"{pair}-b", elsewhere=pair % 2 == 1)
        return first, second, diff(first, second)

    def test_100_pairs_have_equal_chains(self):
        type(self).renames = may_rename_host()
        print("host name:", "of another UTS namespace" if self.renames else "only the variable HOSTNAME", flush=True)
        chains = set()
        for pair, (first, second, got) in enumerate(side_by_side(self.pair, range(PAIRS))):
            with self.subTest(pair=pair, model=TRAININGS[pair % 3][0]):
                self.assertVerdict(got, SAME, "same")
                self.assertEqual(first.inspect()["chain"], second.inspect()["chain"])
                self.assertEqual(first.stdout, second.stdout)
                chains.add(first.inspect()["chain"])
        self.assertEqual(len(chains), PAIRS, "different trainings must have different chains")


if __name__ == "__main__":
    unittest.main()

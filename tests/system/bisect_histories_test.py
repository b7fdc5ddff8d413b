"""Whole bisects over made histories (made_histories.py), with real builds and scripts: six kinds of change, three in C++ and three
in Python, each named. About half a minute each; one in C++ runs by default, SAMESTEP_FULL=1 runs all six and the search for every
change.
"""
import json
import os
import sys
import unittest

from harness import *
from made_histories import LANES, History, git

PYTHON, PACKAGE = os.environ["SAMESTEP_PYTHON"], os.environ["SAMESTEP_PACKAGE"]
CMAKE, BUILD = os.environ["SAMESTEP_CMAKE"], os.environ["SAMESTEP_BUILD"]
STEPS, SINCE, COMMITS, BROKEN = 24, 13, 40, 4
FULL = os.environ.get("SAMESTEP_FULL")
ALWAYS = {("cpp", "sign")}


class BisectHistories(SystemTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        done = run(CMAKE, "--install", BUILD, "--component", "api", "--prefix", cls.root / "installed")
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        cls.env = surroundings(PYTHONPATH=PACKAGE, XDG_CACHE_HOME=str(cls.root / "cache"))

    def make(self, history):
        """The repository at its good commit, built where it has to be and recorded; the commits' ids."""
        self.repository = self.root / self._testMethodName
        ids = history.write(self.repository)
        git(self.repository, "checkout", "-q", ids[0])
        self.build, self.command = (), (PYTHON, "train.py", STEPS)
        if history.language == "cpp":
            self.call(CMAKE, "-S", ".", "-B", "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.root / 'installed'}",
                      f"-DSAMESTEP_PYTHON={PYTHON}", "-DCMAKE_BUILD_TYPE=Release")
            self.call(CMAKE, "--build", "build")
            self.build, self.command = ("--build", f"{CMAKE} --build build"), ("build/train", STEPS)
        return ids

    def call(self, *words, code=0):
        done = run(*words, cwd=self.repository, env=self.env)
        self.assertEqual(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def bisect(self, ids, *words):
        self.call(SAMESTEP, "record", "--run", "run", "--anchor-every", 4, "--", *self.command)
        git(self.repository, "checkout", "-q", "main")
        out = self.call(SAMESTEP, "bisect", "run", "--json", "--good", ids[0], "--bad", "main", "-j", 2, *self.build, *words, "--",
                        *self.command)
        return json.loads(out)

    def check(self, language, kind):
        history = History(language, COMMITS, kind, SINCE, broken=BROKEN)
        self.assertTrue(any(commit.subject == "Break it" for commit in history.commits))
        self.assertTrue(history.merges(), "a history without a side branch")
        ids = self.make(history)
        found = self.bisect(ids)
        self.assertEqual(found["culprit"]["commit"], ids[history.culprit], found)
        self.assertIn(found["lane"], LANES[kind])
        self.assertEqual(git(self.repository, "status", "--porcelain"), "")
        print(f"{language}, {kind}: {found['trials']} trials, {found['steps_replayed']} steps replayed", file=sys.stderr)

    @unittest.skipUnless(FULL, "takes minutes: SAMESTEP_FULL=1 runs it")
    def test_every_change_that_was_made_and_taken_back(self):
        history = History("cpp", 20, "betas", 0, broken=2, temporary="clip")
        ids = self.make(history)
        found = self.bisect(ids, "--all")
        self.assertEqual([change["commits"][0]["commit"] for change in found["changes"]],
                         [ids[place] for place in sorted([*history.temporary, history.culprit])], found)


def add_tests():
    kinds = {"cpp": ("sign", "seed", "betas"), "python": ("evaluation", "order", "clip")}
    for language, kind in ((language, kind) for language in kinds for kind in kinds[language]):
        test = lambda self, language=language, kind=kind: self.check(language, kind)  # noqa: E731
        if (language, kind) not in ALWAYS:
            test = unittest.skipUnless(FULL, "takes a minute: SAMESTEP_FULL=1 runs it")(test)
        setattr(BisectHistories, f"test_{language}_{kind}", test)


add_tests()

if __name__ == "__main__":
    unittest.main()

"""Small histories of a configuration: each revision is checked out, replayed around the step in question and judged, and a
bisect names the one that made the difference. Some 40 s: thirty starts of the program."""
import json
import os
import subprocess
import unittest

from harness import *

TRY = os.environ["SAMESTEP_TRY_REVISIONS"]

SETTINGS = 'model = "mlp"\nwidth = 8\nsteps = 12\neval-every = 0\nlog-every = 10\nclip = {clip}\n'


class Trials(SystemTest):
    bisects = 0

    def write(self, name, text):
        path = self.repository / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def git(self, *words):
        env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        for who in "AUTHOR", "COMMITTER":
            env |= {f"GIT_{who}_NAME": "Ada", f"GIT_{who}_EMAIL": "ada@example.org"}
        return subprocess.run(["git", *words], cwd=self.repository, env=env, check=True, capture_output=True,
                              text=True).stdout.strip()

    def commit(self, subject):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def make_history(self):
        """The commits; what trains otherwise begins with the sixth."""
        self.repository = self.root / self._testMethodName
        self.repository.mkdir()
        self.git("init", "-q", "-b", "main")
        self.write(".gitignore", "run\n")
        self.write("train.sh", f"exec '{TRAIN}' --config settings.toml\n")
        self.write("settings.toml", SETTINGS.format(clip=1))
        commits = [self.commit("Train on digits")]
        self.write("README", "How to train\n")
        commits.append(self.commit("Say how"))
        self.write("settings.toml", "# Small.\n" + SETTINGS.format(clip=1))
        commits.append(self.commit("Comment"))
        self.git("mv", "settings.toml", "small.toml")
        self.write("train.sh", f"exec '{TRAIN}' --config small.toml\n")
        commits.append(self.commit("Rename the settings"))
        self.write("small.toml", "model = \n")
        commits.append(self.commit("Break it"))
        self.write("small.toml", SETTINGS.format(clip=0.01))
        commits.append(self.commit("Repair it, clipping more"))
        self.write("small.toml", SETTINGS.format(clip=0.01).replace(" = ", "="))
        commits.append(self.commit("Format"))
        self.write("tests", "\n")
        return [*commits, self.commit("Add tests")]

    def make_bisectable_history(self):
        """The commits; what trains otherwise begins with the fifth, and the third does not start."""
        self.repository = self.root / self._testMethodName
        self.repository.mkdir()
        self.git("init", "-q", "-b", "main")
        self.write(".gitignore", "run\nsamestep-runs\n")
        self.write("train.sh", f"exec '{TRAIN}' --config settings.toml\n")
        once, less = SETTINGS.format(clip=1), SETTINGS.format(clip=0.01)
        texts = {"Train on digits": once, "Comment": "# Small.\n" + once, "Break it": "model = \n", "Repair it": once,
                 "Clip more": less, "Format": less.replace(" = ", "="), "Explain": "# Clipped.\n" + less}
        commits = []
        for subject, text in texts.items():
            self.write("settings.toml", text)
            commits.append(self.commit(subject))
        return commits

    def bisect(self, *words, code):
        env = {"XDG_CACHE_HOME": str(self.root / "cache")}
        self.bisects += 1
        folder = self.root / f"{self._testMethodName}-{self.bisects}"
        done = run(SAMESTEP, "bisect", "--json", "--folder", folder, *words, cwd=self.repository, env=surroundings(**env))
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def test_a_bisect_names_the_commit(self):
        commits = self.make_bisectable_history()
        self.git("checkout", "-q", commits[0])
        recorded(self.repository / "run", "sh", "train.sh", options=["--anchor-every", 5], cwd=self.repository)
        before = self.state()
        ends = ["--good", commits[0], "--bad", "main"]
        found = self.bisect("run", *ends, code=0)
        culprit = found["culprit"]
        self.assertEqual((culprit["commit"], culprit["subject"]), (commits[4], "Clip more"))
        self.assertEqual(culprit["author"], "Ada <ada@example.org>")
        self.assertEqual((found["step"], found["lane"], found["remaining"]), (0, "hyper", []))
        self.assertIn("+clip = 0.01", found["diff"])
        self.assertEqual(self.state(), before)
        again = self.bisect("run", *ends, code=0)
        self.assertEqual((again["culprit"], again["steps_replayed"]), (culprit, 0), "a trial was repeated")
        self.assertEqual(self.bisect("run", "--good", commits[0], "--bad", commits[3], code=3)["culprit"], None)
        refused = self.bisect("run", "--good", commits[4], "--bad", commits[0], code=2)
        self.assertIn("no ancestor", refused["error"])

    def test_without_a_run_the_good_revision_is_recorded_first(self):
        commits = self.make_bisectable_history()
        found = self.bisect("--good", commits[3], "--bad", "main", "--steps", 4, "--", "sh", "train.sh", code=0)
        self.assertEqual(found["culprit"]["commit"], commits[4])

    def test_every_change_is_named(self):
        commits = self.make_bisectable_history()
        self.write("settings.toml", SETTINGS.format(clip=1))
        back = self.commit("Clip as before")
        found = self.bisect("--good", commits[3], "--bad", "main", "--all", "--steps", 4, "--", "sh", "train.sh", code=0)
        self.assertEqual([[c["commit"] for c in change["commits"]] for change in found["changes"]], [[commits[4]], [back]])

    def try_revisions(self, *revisions):
        done = run(TRY, self.repository / "run", self.repository, self.root / "trials", self.root / "cache", *revisions)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def state(self):
        return self.git("--no-optional-locks", "status", "--porcelain=2", "--branch", "--ignored")

    def test_each_revision_gets_its_answer(self):
        commits = self.make_history()
        self.git("checkout", "-q", commits[0])
        recorded(self.repository / "run", "sh", "train.sh", options=["--anchor-every", 5], cwd=self.repository)
        self.write("settings.toml", "")  # a local change, which no trial sees
        before = self.state()
        bad, *answers = self.try_revisions(commits[-1], *commits)
        self.assertEqual([answer["outcome"] for answer in answers], ["same"] * 4 + ["untestable"] + ["diverged"] * 3)
        self.assertEqual({(answer["step"], answer["lane"]) for answer in [bad, *answers[-3:]]}, {(0, "hyper")})
        self.assertEqual(self.state(), before)
        again = self.try_revisions(commits[-1], *commits)
        self.assertEqual([answer["steps_replayed"] for answer in again], [0] * 9, "a trial was repeated")
        self.assertEqual([answer["outcome"] for answer in again[1:]], [answer["outcome"] for answer in answers])


if __name__ == "__main__":
    unittest.main()

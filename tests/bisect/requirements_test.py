"""A bisect over lock files: packages made here, in versions of which one changes what the training does, installed by pip
without a network. Some 15 s. Standard library only. Usage: requirements_test.py SAMESTEP FRAMES_TRAINER."""
import base64
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

SAMESTEP, TRAINER = sys.argv.pop(1), sys.argv.pop(1)
# The package decides: from version 1.2 on training parts at step 9.
SCRIPT = f"""
import scaling, subprocess, sys
sys.exit(subprocess.call([{TRAINER!r}, *scaling.WORDS]))
"""


def wheel(folder, name, version, text):
    """As pip takes it."""
    information = f"{name}-{version}.dist-info"
    files = {f"{name}.py": text, f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
             f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    lines = []
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content)}\n")
    files[f"{information}/RECORD"] = "".join(lines) + f"{information}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)


class Requirements(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="samestep-requirements-"))
        self.addCleanup(shutil.rmtree, self.folder)
        wheels = self.folder / "wheels"
        wheels.mkdir()
        for version, words in ("1.0", []), ("1.1", []), ("1.2", ["--edit", "loss:9"]), ("1.3", ["--edit", "loss:9"]):
            wheel(wheels, "scaling", version, f"WORDS = {words!r}\n")
        wheel(wheels, "other", "3.0", "")
        wheel(wheels, "other", "3.1", "")
        pins = [("1.0", "3.0"), ("1.1", "3.0"), ("1.1", "3.1"), ("9.9", "3.1"), ("1.2", "3.1"), ("1.3", "3.1")]
        self.locks = [self.lock(*each) for each in enumerate(pins)]
        (self.folder / "train.py").write_text(SCRIPT)

    def lock(self, number, pins):
        lock = self.folder / f"lock-{number}.txt"
        lock.write_text(f"--no-index\n--find-links wheels\nscaling=={pins[0]}\nother=={pins[1]}\n")
        return lock

    def call(self, *words):
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.folder / "cache")}
        return subprocess.run([str(word) for word in words], cwd=self.folder, env=environment, capture_output=True,
                              text=True, timeout=600)

    def record(self):
        """Under the first lock file's versions."""
        packages = self.folder / "packages"
        with zipfile.ZipFile(self.folder / "wheels/scaling-1.0-py3-none-any.whl") as archive:
            archive.extractall(packages)
        done = self.call("env", f"PYTHONPATH={packages}", SAMESTEP, "record", "--run", "run", "--", sys.executable, "train.py")
        self.assertEqual(done.returncode, 0, done.stderr)

    def bisect(self, *locks, words=()):
        self.bisects = getattr(self, "bisects", 0) + 1
        done = self.call(SAMESTEP, "bisect", "run", "--json", "--folder", f"bisect-{self.bisects}", "--base", sys.executable,
                         *words, "--requirements", *locks, "--", "python", "train.py")
        return done.returncode, json.loads(done.stdout), done.stderr

    def environments(self):
        return len([path for path in (self.folder / "cache/samestep/environments").iterdir() if path.is_dir()])

    def test_what_a_file_includes_and_where_its_packages_lie_belongs_to_it(self):
        """None of these files has other bytes than before; the packages that pip takes for them are others."""
        self.record()
        (self.folder / "base.txt").write_text("scaling==1.0\n")
        old, new = self.folder / "old.txt", self.folder / "new.txt"
        old.write_text("--no-index -fwheels\n-rbase.txt\n")
        new.write_text("--no-index --find-links=wheels\nscaling==1.2\n")

        def bisect():
            code, found, said = self.bisect(old, new)
            if "--in-place" in found.get("error", ""):
                code, found, said = self.bisect(old, new, words=["--in-place"])
            return code, found["conclusion"], json.dumps(found, indent=1) + said

        code, conclusion, all_of_it = bisect()
        self.assertEqual((code, conclusion), (0, "culprit"), all_of_it)
        wheel(self.folder / "wheels", "scaling", "1.2", "WORDS = []\n")  # no more
        code, conclusion, all_of_it = bisect()
        self.assertEqual((code, conclusion), (3, "end_not_as_claimed"), all_of_it)
        (self.folder / "base.txt").write_text("scaling==1.3\n")
        code, conclusion, all_of_it = bisect()
        self.assertEqual((code, conclusion), (3, "end_not_as_claimed"), all_of_it)
        self.assertEqual(self.environments(), 5, "2 at first, 2 more with another wheel, 1 with another pin")

    def test_names_the_first_file_that_diverges_and_what_changed(self):
        self.record()
        code, found, said = self.bisect(*self.locks)
        if "--in-place" in found.get("error", ""):
            print(f"this machine allows no view, trying in place: {found['error']}", file=sys.stderr)
            code, found, said = self.bisect(*self.locks, words=["--in-place"])
        # One file pins a version that is nowhere: it and the one after it cannot be told apart.
        self.assertEqual((code, found["conclusion"]), (3, "several"), json.dumps(found, indent=1) + said)
        self.assertEqual(found["remaining"], [str(lock) for lock in self.locks[3:5]])
        whole = self.locks[:3] + self.locks[4:]
        code, found, said = self.bisect(*whole, words=["--in-place"] if "--in-place" in said else [])
        self.assertEqual(code, 0, json.dumps(found, indent=1) + said)
        self.assertEqual(found["culprit"], {"requirements": str(self.locks[4]), "before": str(self.locks[2]),
                                            "packages": ["scaling: 1.1 -> 1.2"]})
        self.assertEqual((found["step"], found["lane"]), (9, "loss"))
        self.assertLessEqual(self.environments(), 5, "an environment was made twice, or a broken one was kept")

    def test_says_what_is_wrong_with_what_it_was_given(self):
        self.record()
        for words, text in ((self.locks[:2] + [self.folder / "none.txt"], "none.txt"), (self.locks[:1], "--requirements"),
                            (self.locks + ["--jobs", "2"], "--jobs is for a bisect over commits: leave it out with --requirements")):
            done = self.call(SAMESTEP, "bisect", "run", "--requirements", *words, "--", "python", "train.py")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(text, done.stderr)
        done = self.call(SAMESTEP, "bisect", "run", "--requirements", *self.locks, "--", sys.executable, "train.py")
        self.assertEqual(done.returncode, 2)
        self.assertIn("names its Python by path", done.stderr)
        done = self.call(SAMESTEP, "bisect", "run", "--base", "/nowhere", "--requirements", *self.locks, "--", "python", "x")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--base /nowhere: it is no Python", done.stderr)


if __name__ == "__main__":
    unittest.main()

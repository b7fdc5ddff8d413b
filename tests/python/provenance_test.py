"""What a manifest says of the code that a Python program ran, and what a comparison makes of it. About 60 s on two idle
cores. Standard library only; run by the Python whose torch the package was built against.
"""
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

SAMESTEP = os.environ["SAMESTEP_PROGRAM"]
PACKAGE = os.environ["SAMESTEP_PACKAGE"]
SCRIPT = """
import torch
import scaling
torch.manual_seed(3)
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(3):
    optimizer.zero_grad()
    (scaling.SCALE * model(torch.randn(5, 4)).square().mean()).backward()
    optimizer.step()
import wave  # late
"""
NONDETERMINISTIC = """
import warnings
import torch
{filters}
torch.manual_seed(3)
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(3):
    optimizer.zero_grad()
    x = torch.zeros(20)
    x.put_(torch.tensor([0, 0]), torch.tensor([1.0, 1.0]))  # the line
    model(x.view(5, 4)).square().mean().backward()
    optimizer.step()
print("done")
"""


def record_line(name, text):
    """As a package's RECORD states a file."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(text)}\n"


class Provenance(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="samestep-provenance-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.packages, self.project, self.elsewhere = (self.folder / name for name in ("packages", "project", "elsewhere"))
        for folder in (self.packages, self.project, self.elsewhere):
            folder.mkdir()
        self.install("SCALE = 1.0\n", "1.0")
        (self.project / "train.py").write_text(SCRIPT)

    def install(self, text, version):
        """The package `scaling`, as pip would leave it."""
        for old in self.packages.glob("*.dist-info"):
            shutil.rmtree(old)
        (self.packages / "scaling.py").write_text(text)
        information = self.packages / f"scaling-{version}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: scaling\nVersion: {version}\n")
        (information / "RECORD").write_text(record_line("scaling.py", text))

    def call(self, *words, code=0):
        # The digests are remembered where the user's are: torch alone is gigabytes.
        environment = {**os.environ, "PYTHONPATH": f"{PACKAGE}:{self.packages}", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([str(word) for word in words], cwd=self.elsewhere, env=environment, capture_output=True, text=True,
                              timeout=600)
        if code is not None and done.returncode != code:
            raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def record(self, name, code=0):
        self.said = self.call(SAMESTEP, "record", "--run", self.folder / name, "--", sys.executable, self.project / "train.py",
                              code=code)
        return json.loads((self.folder / name / "manifest.json").read_text())

    def verdict(self, *words):
        return json.loads(self.call(SAMESTEP, *words, "--json", code=None).stdout)

    def test_every_imported_module_is_listed_with_its_digest(self):
        what = self.record("run")["what"]
        modules = {file["module"]: file for file in what["files"] if "module" in file}
        self.assertEqual(modules["scaling"]["path"], str(self.packages / "scaling.py"))
        self.assertEqual((modules["scaling"]["since"], modules["scaling"]["distribution"]), ("start", "scaling"))
        self.assertEqual(len(modules["scaling"]["digest"]), 64)
        self.assertEqual(modules["wave"]["since"], "end")
        self.assertEqual(modules["__main__"]["path"], str(self.project / "train.py"))
        self.assertEqual(modules["torch"]["distribution"], "torch")
        self.assertTrue(all(file["digest"] for file in modules.values()))
        libraries = [file for file in what["files"] if file["path"].endswith("libtorch_cpu.so")]
        self.assertEqual([file.get("distribution") for file in libraries], ["torch"])
        distributions = {entry["name"]: entry for entry in what["distributions"]}
        self.assertEqual(distributions["scaling"]["version"], "1.0")
        self.assertEqual(distributions["scaling"]["checked"], 1)
        self.assertGreater(distributions["torch"]["checked"], 500)
        self.assertNotIn("changed", distributions["torch"])

    def test_the_repository_of_the_script_is_described(self):
        git = "git init -q -b trunk . && git add . && git -c user.email=a@b -c user.name=a commit -qm first && echo x > new"
        subprocess.run(["sh", "-c", git], cwd=self.project, check=True)
        what = self.record("run")["what"]
        self.assertIsNone(what["revision"])  # of the folder it was started in
        self.assertEqual(what["script_revision"]["branch"], "trunk")
        self.assertEqual(what["script_revision"]["untracked"], ["new"])

    def test_an_edited_package_is_the_first_suspect_and_excuses_nothing(self):
        self.record("run")
        (self.packages / "scaling.py").write_text("SCALE = 2.0\n")
        verdict = self.verdict("replay", self.folder / "run")
        self.assertEqual(verdict["verdict"], "diverged", verdict)
        self.assertIn(f"{self.packages / 'scaling.py'} (not as scaling 1.0 installed it) changed", verdict["suspects"][0])
        edited = self.record("edited")
        events = [event["text"] for event in edited["events"] if event["kind"] == "changed_package"]
        self.assertEqual(len(events), 1, events)
        self.assertIn("scaling 1.0: scaling.py has other bytes", events[0])
        self.assertIn("scaling.py has other bytes", self.said.stderr)

    def test_another_version_of_a_package_excuses(self):
        self.record("run")
        self.install("SCALE = 2.0\n", "1.1")
        verdict = self.verdict("replay", self.folder / "run")
        self.assertEqual((verdict["verdict"], verdict["class"]), ("incomparable", "environment"), verdict)
        self.assertTrue(any("distribution scaling: 1.0 against 1.1" in text for text in verdict["suspects"]))
        self.assertFalse(any("scaling.py" in text for text in verdict["suspects"]), verdict["suspects"])

    # --- determinism warnings

    def nondeterministic(self, filters=""):
        (self.project / "train.py").write_text(NONDETERMINISTIC.format(filters=filters))
        manifest = self.record("run")
        self.assertEqual(self.said.stdout, "done\n")
        return [event["text"] for event in manifest["events"] if event["kind"] == "nondeterministic"]

    def assert_told_once(self, events):
        line = NONDETERMINISTIC.format(filters="").split("\n").index(
            "    x.put_(torch.tensor([0, 0]), torch.tensor([1.0, 1.0]))  # the line") + 1
        self.assertEqual(len(events), 1, events)
        self.assertIn("put_ does not have a deterministic implementation", events[0])
        self.assertIn(f"train.py, line {line}, in <module>", events[0])

    def test_a_warning_is_logged_once_with_the_programs_line(self):
        self.assert_told_once(self.nondeterministic())
        self.assertEqual(self.said.stderr.count("UserWarning: put_"), 1, self.said.stderr)

    def test_the_programs_own_filters_decide_what_is_shown(self):
        self.assert_told_once(self.nondeterministic('warnings.filterwarnings("ignore")'))
        self.assertNotIn("UserWarning", self.said.stderr)
        shutil.rmtree(self.folder / "run")
        handed_on = "; import pickle; pickle.loads(pickle.dumps(warnings.filters))"
        self.assert_told_once(self.nondeterministic('warnings.simplefilter("always")' + handed_on))
        self.assertEqual(self.said.stderr.count("UserWarning: put_"), 3, self.said.stderr)

    def test_a_program_that_makes_errors_of_warnings_does_not_die_of_it(self):
        self.assert_told_once(self.nondeterministic('warnings.simplefilter("error")'))


if __name__ == "__main__":
    unittest.main()

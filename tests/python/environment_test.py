"""A patched file in a copy of the environment: `bisect` blames no commit for it and names it, `bisect --environment` proves
it. Some 50 s on two idle cores: a dozen starts of torch. Standard library only; run by the Python whose torch the package was
built against."""
import importlib.util
import json
import pathlib
import shutil
import sys
import unittest

from recording import PACKAGE, RecordingTest, SAMESTEP, call

SCRIPT = """
import torch
torch.manual_seed(3)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
for step in range(4):
    optimizer.zero_grad()
    model(torch.randn(5, 3)).square().mean().backward()
    optimizer.step()
"""
TORCH = pathlib.Path(importlib.util.find_spec("torch").origin).parent


class APatchedEnvironment(RecordingTest):
    def setUp(self):
        super().setUp()
        self.packages = self.folder / "packages"
        self.packages.mkdir()
        for entry in TORCH.parent.iterdir():
            if entry.name.startswith(("nvidia", "torch-", "triton")):
                (self.packages / entry.name).symlink_to(entry)
        torch = self.packages / "torch"
        torch.mkdir()
        for entry in TORCH.iterdir():
            if entry.name != "optim":
                (torch / entry.name).symlink_to(entry)
        shutil.copytree(TORCH / "optim", torch / "optim")
        self.adamw = torch / "optim" / "adamw.py"
        self.project = self.folder / "project"
        self.commits = self.repository()
        # What Python compiled when torch was installed is taken from beside the sources, and nothing is written there.
        self.surroundings = {"PYTHONPATH": f"{PACKAGE}:{self.packages}", "PYTHONPYCACHEPREFIX": "",
                             "PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": str(self.folder / "cache")}
        self.command = (sys.executable, "train.py")

    def repository(self):
        """Two commits of the script, of which the later changes nothing."""
        self.project.mkdir()
        git = ("git", "-c", "user.name=A", "-c", "user.email=a@b.c")
        call(*git, "init", "--quiet", cwd=self.project)
        commits = []
        for text in (SCRIPT, SCRIPT + "# the end\n"):
            (self.project / "train.py").write_text(text)
            call(*git, "add", "train.py", cwd=self.project)
            call(*git, "commit", "--quiet", "--message", text[-10:], cwd=self.project)
            commits.append(call(*git, "rev-parse", "HEAD", cwd=self.project).stdout.strip())
        return commits

    def samestep(self, *words, code=None):
        return call(SAMESTEP, *words, cwd=self.project, code=code, **self.surroundings)

    def patch(self):
        text = self.adamw.read_text()
        patched = text.replace("            betas,\n", "            betas[::-1],\n", 1)
        self.assertNotEqual(text, patched)
        self.adamw.write_text(patched)
        return patched

    def blames_no_commit(self):
        done = self.samestep("bisect", self.folder / "run", "--json", "--folder", self.folder / "bisected", "--good", self.commits[0],
                             "--bad", self.commits[1], "--", *self.command)
        found = json.loads(done.stdout)
        self.assertEqual((done.returncode, found["conclusion"], found["culprit"]), (3, "end_not_as_claimed", None),
                         json.dumps(found, indent=1) + done.stderr)
        if "--link PATH" in done.stderr:
            return  # without views nothing is looked at around the good revision
        self.assertTrue(any(str(self.adamw) in suspect for suspect in found["suspects"]), found["suspects"])
        self.assertIn("--environment", found["next"])

    def test_names_the_file_and_proves_it(self):
        self.samestep("record", "--run", self.folder / "run", "--", *self.command, code=0)
        patched = self.patch()
        self.blames_no_commit()
        done = self.samestep("bisect", self.folder / "run", "--environment", "--json", "--from", TORCH / "optim", "--",
                             *self.command)
        if "--in-place" in done.stderr:
            print(f"this machine allows no view, so no file is exchanged: {done.stderr}", file=sys.stderr)
            self.assertEqual(done.returncode, 2)
            return
        found = json.loads(done.stdout)
        self.assertEqual((done.returncode, found["conclusion"]), (0, "minimal"), json.dumps(found, indent=1) + done.stderr)
        self.assertEqual([item["paths"] for item in found["cause"]], [[str(self.adamw)]])
        self.assertIn("(not as torch ", found["cause"][0]["name"])
        self.assertEqual((found["step"], found["lane"]), (0, "hyper"))
        self.assertEqual(self.adamw.read_text(), patched)


if __name__ == "__main__":
    unittest.main()

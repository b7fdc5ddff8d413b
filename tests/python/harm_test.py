"""What a recording and a replay of a script leave alone: the training, where the disk fills, and the user's files, whatever
the script does to them."""
import os
import shutil
import unittest

from recording import SAMESTEP, RecordingTest, call, python

DELETES_ITS_FOLDER = """
import os, shutil, sys, torch
here = os.path.dirname(os.path.abspath(__file__))
torch.manual_seed(0)
scale = float(open(os.path.join(here, "data", "scale.txt")).read())
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(6):
    loss = (model(torch.randn(8, 3)) * scale).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step == 2:
        shutil.rmtree(here)
print(os.path.exists(here))
"""

FILLS_THE_DISK = """
import torch
torch.manual_seed(0)
model = torch.nn.Sequential(*[torch.nn.Linear(4, 4) for _ in range(30)])
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(400):
    loss = model(torch.randn(2, 4)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("trained to the end:", loss.item())
"""


def files_under(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Harm(RecordingTest):
    def test_a_replay_of_a_script_that_deletes_its_own_folder(self):
        mine = self.folder / "mine"
        (mine / "data").mkdir(parents=True)
        (mine / "train.py").write_text(DELETES_ITS_FOLDER)
        (mine / "data" / "scale.txt").write_text("0.5")
        (mine / "notes.txt").write_text("of the user, unknown to the script")
        before, copy = files_under(mine), self.folder / "copy"
        shutil.copytree(mine, copy)
        done = self.record("run", *python(mine / "train.py"))
        self.assertEqual((done.stdout, mine.exists()), ("False\n", False))
        shutil.copytree(copy, mine)
        self.assert_same(self.replay("run"), 6)
        if self.in_view:
            self.assertEqual(files_under(mine), before)

    def test_a_full_disk_ends_the_recording_and_not_the_training(self):
        script = self.folder / "train.py"
        script.write_text(FILLS_THE_DISK)
        plain = self.plain(*python(script))
        shell = ("mkdir disk && mount -t tmpfs -o size=1500k none disk || exit 99; "
                 '"$0" record --run disk/run -- "$@"; code=$?; cp -r disk/run run; exit $code')
        namespace = ["unshare", "-m" if os.geteuid() == 0 else "-Urm"]
        done = call(*namespace, "sh", "-c", shell, SAMESTEP, *python(script), cwd=self.folder, code=None)
        if done.returncode == 99:
            self.skipTest(f"no mount namespaces here: {done.stderr}")
        self.assertEqual((done.returncode, done.stdout), (0, plain.stdout), done.stderr)
        self.assertIn("The recording ends here; the training goes on.", done.stderr)
        kept = self.inspect("run")["steps"]
        self.assertTrue(0 < kept < 400, kept)
        self.assert_same(self.replay("run", "--to", kept), kept)


if __name__ == "__main__":
    unittest.main()

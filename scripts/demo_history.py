"""Makes a small git repository of a training program: demo_history.py FOLDER.

Seven commits from the tag v1.0 to main, as people make them: names for numbers, functions, a text. One of them, meant to
change nothing, swaps the betas of AdamW. The demo finds it.
"""
import os
import pathlib
import subprocess
import sys

FIRST = '''"""Learns the labels of made-up images."""
import torch

torch.manual_seed(7)
images = torch.randn(2000, 64)
labels = (images @ torch.randn(64, 10)).argmax(dim=1)
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.99))
for step in range(60):
    chosen = torch.randint(0, 2000, (32,))
    loss = torch.nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(step, loss.item())
'''

# Subject, and what it changes in the program.
COMMITS = [
    ("Name the sizes", {"torch.manual_seed": "IMAGES, PIXELS, CLASSES = 2000, 64, 10\n\ntorch.manual_seed",
                        "randn(2000, 64)": "randn(IMAGES, PIXELS)", "randn(64, 10)": "randn(PIXELS, CLASSES)",
                        "Linear(64, 32)": "Linear(PIXELS, 32)", "Linear(32, 10)": "Linear(32, CLASSES)",
                        "(0, 2000,": "(0, IMAGES,"}),
    ("Make the data in a function", {"images = torch.randn(IMAGES, PIXELS)\nlabels = (images @ torch.randn(PIXELS, CLASSES))"
                                     ".argmax(dim=1)\n":
                                     "\n\ndef make_data():\n    images = torch.randn(IMAGES, PIXELS)\n"
                                     "    return images, (images @ torch.randn(PIXELS, CLASSES)).argmax(dim=1)\n\n\n"
                                     "images, labels = make_data()\n"}),
    ("Import the functions under their usual name", {"import torch\n": "import torch\nimport torch.nn.functional as F\n",
                                                     "torch.nn.functional.cross": "F.cross"}),
    ("Name the optimizer's options", {"CLASSES = 2000, 64, 10\n": "CLASSES = 2000, 64, 10\nRATE, BETAS = 1e-2, (0.99, 0.9)\n",
                                      "lr=1e-2, betas=(0.9, 0.99)": "lr=RATE, betas=BETAS"}),
    ("Print fewer digits", {"print(step, loss.item())": 'print(f"{step:4} {loss.item():.4f}")'}),
    ("Say what is learned", {"made-up images.": "made-up images: a random projection's largest entry."}),
]


def git(folder, *words):
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"), ("DATE", "2026-01-05T09:00:00+00:00"))}
    env = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *words], cwd=folder, env=env, check=True)


def commit(folder, program, subject):
    (folder / "train.py").write_text(program, encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", subject)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, FIRST, "Train a classifier")
    git(folder, "tag", "v1.0")
    program = FIRST
    for subject, changes in COMMITS:
        for old, new in changes.items():
            if old not in program:
                sys.exit(f"demo_history: {subject}: {old!r} is not there")
            program = program.replace(old, new)
        commit(folder, program, subject)


if __name__ == "__main__":
    main()

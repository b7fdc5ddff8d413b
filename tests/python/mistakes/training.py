"""What the scripts of this folder share, as the modules beside a script do: a model, data, a checkpoint.

Each script trains LAST steps and leaves a checkpoint after SAVED; with --resume it takes that up and makes the mistake of
its name.
"""
import sys

import torch
from torch import nn

SAVED, LAST, BATCH = 17, 22, 8
RESUME = "--resume" in sys.argv
FIRST = SAVED if RESUME else 0


def model(dropout=0.1):
    return nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Dropout(dropout), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 2))


def data(count=64):
    draw = torch.Generator().manual_seed(100)
    x = torch.randn(count, 4, generator=draw)
    return x, (x[:, 0] > x[:, 1]).long()


def update(net, optimizer, x, y):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


def save(step, net, optimizer, **more):
    """After SAVED steps: everything that a resume needs."""
    if step + 1 == SAVED and not RESUME:
        state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()}
        torch.save(state | more, "checkpoint.pt")


def load(net, optimizer=None, rng=True):
    """What was saved, put back."""
    saved = torch.load("checkpoint.pt", weights_only=False)
    net.load_state_dict(saved["net"])
    if optimizer is not None:
        optimizer.load_state_dict(saved["optimizer"])
    if rng:
        torch.set_rng_state(saved["rng"])
    return saved

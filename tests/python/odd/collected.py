"""Folds whose models, optimizers and schedules are in reference cycles, with a collector that runs as the argument
says: "never" by itself, or before every step. Then an ensemble of as many optimizers as a second argument says, all in
use."""
import gc
import sys

import torch
from torch import nn

EAGER = sys.argv[1] == "always"
torch.manual_seed(0)
torch.optim.SGD([torch.zeros(1, requires_grad=True)])  # imports what optimizers need
gc.collect()
gc.freeze()  # what was imported: looking through that takes longer than all else here
gc.disable()


class Trainer:
    def __init__(self, model, parameters=None, kind=torch.optim.SGD):
        self.model, self.itself = model, self
        self.optimizer = kind(parameters or model.parameters(), lr=0.1)
        self.schedule = torch.optim.lr_scheduler.StepLR(self.optimizer, 2)
        self.optimizer.trainer = self  # so that nothing but the collector frees any of them

    def train(self, steps):
        for _ in range(steps):
            if EAGER:
                gc.collect()
            loss = self.model(torch.randn(8, 3)).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
        return steps


def net():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))


def folds(count, kind):
    return sum(Trainer(net(), kind=kind).train(1 + fold % 2) for fold in range(count))


def phases_of_one_model():
    """The second phase's optimizer is there first: what the first trained has no optimizer while the second steps."""
    model = net()
    head = Trainer(model, list(model[2].parameters()))
    return Trainer(model).train(3) + head.train(5)


def peeked():
    """A batch is looked at, and the loader is read from its start: by an iterator that lies where the first one lay, or
    not."""
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(8, 3)), batch_size=4)
    looking = iter(loader)
    next(looking)
    if EAGER:
        del looking
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for (x,) in loader:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    return 2


def ensemble(size):
    return sum(trainer.train(1) for trainer in [Trainer(nn.Linear(3, 1)) for _ in range(size)])


steps = peeked() + phases_of_one_model() + folds(3, torch.optim.SGD) + folds(2, torch.optim.Adam) + phases_of_one_model()
steps += folds(60, torch.optim.SGD)
if sys.argv[2:]:
    ensemble(int(sys.argv[2]))
print("steps", steps)

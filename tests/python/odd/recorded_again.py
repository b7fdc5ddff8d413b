"""A notebook that trains, records, stops and records again: FIRST SECOND [collected].

All is made before its recording begins; "collected" runs the garbage collector in between, which leaves its lists of
objects in another order.
"""
import gc
import sys

import torch

import samestep


class Cell:
    """What one cell of the notebook makes."""

    def __init__(self):
        self.generator = torch.nn.Linear(3, 3)
        self.judge = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.BatchNorm1d(1))
        self.optimizers = [torch.optim.Adam(self.generator.parameters()), torch.optim.Adam(self.judge.parameters())]
        self.schedules = [torch.optim.lr_scheduler.StepLR(one, 2 + i) for i, one in enumerate(self.optimizers)]
        self.itself = self  # freed by the collector only

    def train(self, steps):
        for number in range(steps):
            loss = self.judge(self.generator(torch.randn(8, 3))).square().mean()
            for optimizer in self.optimizers:
                optimizer.zero_grad()
            loss.backward()
            self.optimizers[number % 2].step()
            self.schedules[number % 2].step()


torch.manual_seed(0)
for run, steps in zip(sys.argv[1:3], (4, 6)):
    later = [Cell().optimizers[0]]  # made first, and reached last
    cell = Cell()
    cell.train(2)
    if sys.argv[3:]:
        gc.collect()
    with samestep.record(run, "--anchor-every", "2"):
        cell.train(steps)

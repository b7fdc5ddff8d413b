"""A small classifier that trains 8 steps; its argument names one edit of it, as somebody may have made it."""
import random
import sys

import torch
from torch import nn

EDIT = sys.argv[1] if len(sys.argv) > 1 else ""
STEP = 3  # at which edits begin that are no matter of the start

torch.manual_seed(7)
random.seed(7)
data, labels = torch.randn(64, 6), torch.randint(3, (64,))
if EDIT == "permuted labels":
    labels = labels[torch.randperm(64, generator=torch.Generator().manual_seed(1))]
model = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.1), nn.Linear(12, 3))
betas = (0.999, 0.9) if EDIT == "swapped betas" else (0.9, 0.999)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, betas=betas)


def evaluate():
    model.eval()
    model[1].train(EDIT == "evaluation changes BatchNorm")
    with torch.no_grad():
        model(data[:16])
        if EDIT == "evaluation draws":
            torch.rand(1)
    model.train()


class Negated(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return -gradient


for step in range(8):
    place = torch.randint(64, (8,))
    hidden = model[0](data[place])
    if EDIT == "backward" and step == STEP:
        hidden = Negated.apply(hidden)
    out = model[1:](hidden)
    if EDIT == "forward" and step == STEP:
        out = out * 1.001
    loss = nn.functional.cross_entropy(out, labels[place])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if EDIT == "update" and step == STEP:
        with torch.no_grad():
            model[4].bias.sub_(1e-6)
    if step == STEP - 1:
        evaluate()

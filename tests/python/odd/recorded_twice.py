"""Two cells of a notebook: each makes a model, then records its training in the folder named."""
import sys

import torch

import samestep

for run in sys.argv[1:]:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with samestep.record(run):
        for _ in range(4):
            loss = model(torch.randn(8, 3)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

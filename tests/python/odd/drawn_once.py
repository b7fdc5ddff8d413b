"""A loop over samestep.steps() of which the first iteration draws more: a jump draws it too."""
import numpy
import torch

import samestep

torch.manual_seed(0)
numpy.random.seed(0)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
samestep.attach(model, optimizer)
first = True
for number in samestep.steps(6):
    if first:
        numpy.random.rand()
        torch.rand(1)
    first = False
    target = model(torch.ones(8, 3))
    loss = (target * torch.from_numpy(numpy.random.randn(8, 1)).float()).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

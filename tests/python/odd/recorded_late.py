"""A notebook that thinks of recording when all is made: two steps go by before it."""
import pathlib
import sys

import torch

import samestep

torch.manual_seed(0)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
scaler = torch.amp.GradScaler("cpu")


def train():
    loss = model(torch.randn(8, 3)).square().mean()
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    schedule.step()


for _ in range(2):
    train()
recording = samestep.record(*sys.argv[1:])
for _ in range(6):
    train()
recording.stop()
train()
print(torch.cat([p.detach().flatten() for p in model.parameters()]).tolist())

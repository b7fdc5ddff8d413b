"""Resumes from last.pt where it is there, and overwrites it every second step, as a job that is preempted does."""
import os
import sys

import torch
from torch import nn

torch.manual_seed(10)
model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
start = 0
if os.path.exists("last.pt"):
    saved = torch.load("last.pt", weights_only=False)
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    torch.set_rng_state(saved["rng"])
    start = saved["step"]
for step in range(start, start + int(sys.argv[1])):
    x = torch.randn(16, 4)
    loss = (model(x) - x.sum(1, keepdim=True)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 2:
        state = {name: part.state_dict() for name, part in parts.items()}
        torch.save(state | {"rng": torch.get_rng_state(), "step": step + 1}, "last.pt.new")
        os.replace("last.pt.new", "last.pt")
print(f"from {start} loss {loss.item():.6f}")
print("steps", step + 1 - start)

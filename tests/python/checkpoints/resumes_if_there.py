"""Trains so many steps more, from its checkpoint where there is one; leaves one at the end."""
import os
import sys

import torch
from torch import nn

CHECKPOINT = "checkpoint.pt"
torch.manual_seed(9)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
start = 0
if os.path.exists(CHECKPOINT):
    saved = torch.load(CHECKPOINT)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    torch.set_rng_state(saved["rng"])
    start = saved["step"]
for step in range(start, start + int(sys.argv[1])):
    x = torch.randn(16, 4)
    loss = (model(x) - x.sum(1, keepdim=True)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(), "step": step + 1}
torch.save(state, CHECKPOINT)
print(f"from {start} loss {loss.item():.6f}")
print("steps", step + 1 - start)

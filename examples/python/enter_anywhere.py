"""A loop that a replay may enter in the middle: it walks samestep.steps() and names what it keeps in variables.

samestep record --anchor-every 4 --run run -- python enter_anywhere.py
samestep replay run --from 8 --jump
"""
import samestep
import torch
from torch import nn

torch.manual_seed(3)
data = torch.randn(100, 8)
model = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.2), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12)
samestep.attach(model, optimizer, scheduler)

cursor, best = 0, float("inf")


def keep():
    return {"cursor": cursor, "best": best}


def take(kept):
    global cursor, best
    cursor, best = kept["cursor"], kept["best"]


samestep.state("position", keep, take)

for number in samestep.steps(12):
    x = data[cursor : cursor + 16]
    cursor = (cursor + 16) % 84
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    best = min(best, loss.item())
print("best", best)
print("steps", 12)

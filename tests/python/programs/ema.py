"""An exponential moving average of the weights, evaluated in place of them now and then."""
import copy

import torch
from torch import nn

torch.manual_seed(11)
model = nn.Sequential(nn.Linear(5, 20), nn.SiLU(), nn.Linear(20, 5))
average = copy.deepcopy(model)
optimizer = torch.optim.NAdam(model.parameters(), lr=5e-3)
for step in range(15):
    x = torch.randn(16, 5)
    loss = (model(x) - x.flip(1)).abs().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for smooth, raw in zip(average.parameters(), model.parameters()):
            smooth.lerp_(raw, 0.1)
    if step % 5 == 4:
        with torch.no_grad():
            print(f"{(average(x) - x.flip(1)).abs().mean().item():.6f}")
torch.save(model, "model.pt")
print("steps", step + 1)

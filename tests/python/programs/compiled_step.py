"""A model of which the optimizer's step is compiled, alone."""
import torch
import torch._dynamo
from torch import nn

torch.manual_seed(15)
model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
update = torch.compile(optimizer.step)
for step in range(8):
    x = torch.randn(32, 8)
    loss = nn.functional.mse_loss(model(x), x.sum(1, keepdim=True))
    optimizer.zero_grad()
    loss.backward()
    update()
counted = torch._dynamo.utils.counters
print("graphs", counted["stats"]["unique_graphs"], "breaks", sum(counted["graph_break"].values()))
print(f"{loss.item():.6f}")
print("steps", step + 1)

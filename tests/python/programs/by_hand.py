"""A two-layer network whose update is written by hand, with weight decay and a falling rate: torch.optim is never used."""
import torch
from torch import nn

torch.manual_seed(6)
x, y = torch.randn(120, 5), torch.randn(120, 1)
net = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))
rate, steps = 0.1, 0
for epoch in range(3):
    order = torch.randperm(len(x))
    for rows in order.split(30):
        net.zero_grad()
        loss = nn.functional.mse_loss(net(x[rows]), y[rows])
        loss.backward()
        for p in net.parameters():
            p.data.add_(p.grad + 1e-4 * p.data, alpha=-rate)
        steps += 1
    rate *= 0.7
    net.eval()
    with torch.no_grad():
        print(f"epoch {epoch} loss {nn.functional.mse_loss(net(x), y).item():.6f}")
    net.train()
print("steps", steps)

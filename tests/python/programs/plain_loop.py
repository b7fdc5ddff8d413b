"""A regression on made-up data, as a first script looks."""
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(256, 8)
y = x @ torch.randn(8, 1) + 0.1 * torch.randn(256, 1)
model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
steps = 0
for epoch in range(5):
    for begin in range(0, 256, 64):
        prediction = model(x[begin : begin + 64])
        loss = ((prediction - y[begin : begin + 64]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steps += 1
    print(f"epoch {epoch} loss {loss.item():.6f}")
print("steps", steps)

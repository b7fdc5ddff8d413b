"""Gradients of four micro-batches a step, a plateau schedule, early stopping on a validation loss."""
import torch
from torch import nn

torch.manual_seed(7)
data, targets = torch.randn(128, 6), torch.randn(128, 2)
model = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 2))
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-2)
schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
best, worse, steps = float("inf"), 0, 0
for epoch in range(20):
    model.train()
    order = torch.randperm(96)
    for i, begin in enumerate(range(0, 96, 8)):
        rows = order[begin : begin + 8]
        (nn.functional.mse_loss(model(data[rows]), targets[rows]) / 4).backward()
        if i % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()
            steps += 1
    model.eval()
    with torch.no_grad():
        loss = nn.functional.mse_loss(model(data[96:]), targets[96:]).item()
    schedule.step(loss)
    worse = 0 if loss < best else worse + 1
    best = min(best, loss)
    if worse == 4:
        print("stopped early in epoch", epoch)
        break
print("steps", steps)

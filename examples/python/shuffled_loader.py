"""A shuffling loader with workers in a loop that a replay may enter in the middle of an epoch.

samestep record --anchor-every 4 --run run -- python shuffled_loader.py
samestep replay run --from 8 --jump
"""
import samestep
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(4)
x = torch.randn(80, 8)
loader = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=16, shuffle=True, num_workers=1)
model = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.2), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
average = {name: p.detach().clone() for name, p in model.named_parameters()}

samestep.attach(model, optimizer)
samestep.state("average", lambda: average, lambda kept: average.update(kept))

for number, (inputs, targets) in zip(samestep.steps(12), samestep.batches(loader)):
    loss = nn.functional.mse_loss(model(inputs), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    for name, p in model.named_parameters():
        average[name].lerp_(p.detach(), 0.1)
print("average", sum(p.sum() for p in average.values()).item())
print("steps", 12)

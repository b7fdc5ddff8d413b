"""The script seeds at its top, and the resume restores everything but the generator."""
import torch
from training import BATCH, FIRST, LAST, RESUME, data, load, model, save, update

torch.manual_seed(5)
x, y = data()
net = model()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
if RESUME:
    load(net, optimizer, rng=False)
for step in range(FIRST, LAST):
    rows = torch.arange(step * BATCH, (step + 1) * BATCH) % 64
    loss = update(net, optimizer, x[rows], y[rows])
    save(step, net, optimizer)
print(f"{loss:.6f}")

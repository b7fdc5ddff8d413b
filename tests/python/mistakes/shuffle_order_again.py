"""The epoch's order is drawn from a seed and its position is not kept: after a resume the epoch begins anew."""
import torch
from training import BATCH, FIRST, LAST, RESUME, data, load, model, save, update

torch.manual_seed(1)
x, y = data()
net = model()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
if RESUME:
    load(net, optimizer)


def batches():
    for epoch in range(FIRST // 8, 100):
        yield from torch.randperm(64, generator=torch.Generator().manual_seed(epoch)).split(BATCH)


order = batches()
for step in range(FIRST, LAST):
    rows = next(order)
    loss = update(net, optimizer, x[rows], y[rows])
    save(step, net, optimizer)
print(f"{loss:.6f}")

"""Somebody swapped two layers' parameters in the optimizer's list: the moments of one go to the other, of equal shape."""
import torch
from training import BATCH, FIRST, LAST, RESUME, data, load, save, update

torch.manual_seed(10)
x, y = data()
net = torch.nn.Sequential(*[torch.nn.Linear(4, 4) for _ in range(3)], torch.nn.Linear(4, 2))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
if RESUME:
    saved = load(net)["optimizer"]
    saved["state"][0], saved["state"][2] = saved["state"][2], saved["state"][0]
    optimizer.load_state_dict(saved)
for step in range(FIRST, LAST):
    rows = torch.arange(step * BATCH, (step + 1) * BATCH) % 64
    loss = update(net, optimizer, x[rows], y[rows])
    save(step, net, optimizer)
print(f"{loss:.6f}")

"""The files of the data set are taken in the order in which the folder gives them: newest first. Somebody touched one."""
import glob
import os

import torch
from training import BATCH, FIRST, LAST, RESUME, SAVED, data, load, model, save, update

torch.manual_seed(2)
if not RESUME:
    x, y = data()
    for part in range(8):
        rows = slice(part * BATCH, (part + 1) * BATCH)
        torch.save((x[rows], y[rows]), f"part-{part}.pt")
        os.utime(f"part-{part}.pt", (1e9 + part, 1e9 + part))
files = sorted(glob.glob("part-*.pt"), key=os.path.getmtime, reverse=True)
net = model()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
if RESUME:
    load(net, optimizer)
for step in range(FIRST, LAST):
    loss = update(net, optimizer, *torch.load(files[step % len(files)]))
    save(step, net, optimizer)
    if step + 1 == SAVED:
        os.utime("part-3.pt")
print(f"{loss:.6f}")

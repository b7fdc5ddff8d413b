"""Mixed precision whose gradient scaler is in no checkpoint: the resume begins at the initial scale again."""
import torch
from training import BATCH, FIRST, LAST, RESUME, data, load, model, save

torch.manual_seed(12)
x, y = data()
net = model()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8, growth_interval=6)
if RESUME:
    load(net, optimizer)
for step in range(FIRST, LAST):
    rows = torch.arange(step * BATCH, (step + 1) * BATCH) % 64
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = torch.nn.functional.cross_entropy(net(x[rows]).float(), y[rows])
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    save(step, net, optimizer)
print(f"{loss.item():.6f} scale {scaler.get_scale()}")

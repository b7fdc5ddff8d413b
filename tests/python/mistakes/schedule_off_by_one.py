"""The resume tells the schedule the number of the next epoch: one too many."""
import torch
from training import BATCH, FIRST, LAST, RESUME, data, load, model, save, update

torch.manual_seed(11)
x, y = data()
net = model()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.97**step)
if RESUME:
    saved = load(net, optimizer)
    schedule.load_state_dict(saved["schedule"])
    schedule.step()
for step in range(FIRST, LAST):
    rows = torch.arange(step * BATCH, (step + 1) * BATCH) % 64
    loss = update(net, optimizer, x[rows], y[rows])
    schedule.step()
    save(step, net, optimizer, schedule=schedule.state_dict())
print(f"{loss:.6f}")

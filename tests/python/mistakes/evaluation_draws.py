"""Evaluation draws from the generator that training draws from, and a resume evaluates before it trains."""
import torch
from training import BATCH, FIRST, LAST, RESUME, data, load, model, save, update

torch.manual_seed(7)
x, y = data()
net = model()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)


def evaluate():
    net.eval()
    with torch.no_grad():
        rows = torch.randint(64, (16,))
        print(f"right {(net(x[rows]).argmax(1) == y[rows]).sum().item()} of 16")
    net.train()


if RESUME:
    load(net, optimizer)
    evaluate()
for step in range(FIRST, LAST):
    rows = torch.arange(step * BATCH, (step + 1) * BATCH) % 64
    update(net, optimizer, x[rows], y[rows])
    save(step, net, optimizer)
    if step % 8 == 7:
        evaluate()

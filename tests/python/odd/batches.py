"""Two loaders at once, one of them read by a thread of its own, and an evaluation in between; its argument is an edit."""
import queue
import sys
import threading

import torch
from torch.utils.data import DataLoader, TensorDataset

EDIT = "".join(sys.argv[1:])
torch.manual_seed(0)
x, y, unlabelled, held_out = torch.randn(32, 3), torch.randn(32, 1), torch.randn(32, 3), torch.randn(16, 3)
if EDIT == "permuted labels":
    y = y[torch.randperm(32, generator=torch.Generator().manual_seed(1))]
if EDIT == "other evaluation":
    held_out = held_out + 1


def prefetched(loader):
    waiting = queue.Queue(3)

    def fill():
        for batch in loader:
            waiting.put(batch)
        waiting.put(None)

    threading.Thread(target=fill, daemon=True).start()
    while (batch := waiting.get()) is not None:
        yield batch


def loader_of(*tensors):
    return DataLoader(TensorDataset(*tensors), batch_size=4)


model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step, ((a, b), (c,)) in enumerate(zip(loader_of(x, y), prefetched(loader_of(unlabelled)))):
    loss = ((model(a) - b) ** 2).mean() + 0.1 * model(c).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step == 2:
        model.eval()
        with torch.no_grad():
            for (part,) in loader_of(held_out):
                model(part)
        model.train()

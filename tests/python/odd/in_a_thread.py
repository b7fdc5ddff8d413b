"""Trains in a thread of its own, as programs with a window or a server do, while the main one evaluates another model."""
import threading

import torch

torch.manual_seed(0)
model, beside = torch.nn.Linear(3, 1), torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def train():
    for _ in range(8):
        loss = model(torch.randn(8, 3)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


thread = threading.Thread(target=train)
thread.start()
while thread.is_alive():
    with torch.no_grad():
        beside(torch.ones(1, 3))
    thread.join(0.01)
print("steps", 8)

"""Several threads that begin to train at the same time, each a model of its own."""
import threading

import torch

torch.manual_seed(0)
THREADS, STEPS = 4, 6
ready = threading.Barrier(THREADS)


def train():
    ready.wait()
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(STEPS):
        loss = model(torch.ones(8, 3)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


threads = [threading.Thread(target=train) for _ in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")

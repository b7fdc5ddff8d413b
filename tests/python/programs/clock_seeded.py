"""Seeds everything, each time with something else: the clock, the process, the nanosecond."""
import os
import random
import time

import numpy as np
import torch


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(time.time_ns() % 2**32)
    torch.manual_seed(seed + os.getpid())


seed_everything(int(time.time() * 1000))
noise = np.random.default_rng(time.time_ns())
sampler = random.Random(os.getpid())
model = torch.nn.Sequential(torch.nn.Linear(6, 12), torch.nn.Dropout(0.2), torch.nn.Linear(12, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
data = torch.from_numpy(np.random.normal(size=(64, 6)).astype(np.float32))
for step in range(10):
    first = sampler.randint(0, 32) + random.randint(0, 16)
    batch = data[first : first + 16] + 0.1 * torch.from_numpy(noise.normal(size=(16, 6)).astype(np.float32))
    loss = model(batch).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.6f}")
print("steps", step + 1)

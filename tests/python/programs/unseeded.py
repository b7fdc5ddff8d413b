"""Nobody seeded anything: NumPy shuffles the data, random draws the batch, torch its weights."""
import random

import numpy as np
import torch

rng = np.random.default_rng()
data = rng.normal(size=(64, 4)).astype(np.float32)
np.random.shuffle(data)
model = torch.nn.Linear(4, 4)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step in range(12):
    first = random.randint(0, 48)
    batch = torch.from_numpy(data[first : first + 16])
    loss = (model(batch) - batch).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.6f}")
print("steps", step + 1)

"""A notebook that stops its recording while loader workers, which it forked, still live."""
import torch
from torch.utils.data import DataLoader, TensorDataset

import samestep

torch.manual_seed(0)
loader = DataLoader(TensorDataset(torch.randn(16, 3)), batch_size=4, num_workers=2, persistent_workers=True)
recording = samestep.record("notebook-run")
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(2):
    for (x,) in loader:
        loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
recording.stop()
print("stopped")

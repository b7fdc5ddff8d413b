"""A trainer class of the kind that frameworks have: it hands the optimizer a closure that does everything."""
import torch
from torch import nn


class Task(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(10, 32), nn.ReLU())
        self.head = nn.Linear(32, 3)

    def training_step(self, batch):
        x, y = batch
        return nn.functional.cross_entropy(self.head(self.body(x)), y)


class Trainer:
    def __init__(self, epochs):
        self.epochs, self.steps = epochs, 0

    def fit(self, task, loader):
        optimizer = torch.optim.Adagrad(task.parameters(), lr=0.05)
        for _ in range(self.epochs):
            for batch in loader:

                def closure():
                    optimizer.zero_grad()
                    loss = task.training_step(batch)
                    loss.backward()
                    return loss

                self.loss = optimizer.step(closure)
                self.steps += 1


torch.manual_seed(4)
rows = torch.utils.data.TensorDataset(torch.randn(80, 10), torch.randint(0, 3, (80,)))
trainer = Trainer(2)
trainer.fit(Task(), torch.utils.data.DataLoader(rows, batch_size=16, shuffle=True))
print(f"{trainer.loss.item():.6f}")
print("steps", trainer.steps)

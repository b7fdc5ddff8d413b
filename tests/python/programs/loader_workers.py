"""Images in a data set with augmentation, four loader workers, shuffled, over several epochs, evaluated after each."""
import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset):
    def __init__(self, count):
        self.pictures = np.random.rand(count, 1, 8, 8).astype(np.float32)
        self.labels = np.random.randint(0, 4, count)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        picture = self.pictures[i]
        if random.random() < 0.5:
            picture = picture[:, :, ::-1].copy()
        return picture + np.random.normal(0, 0.01, picture.shape).astype(np.float32), int(self.labels[i])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(F.relu(self.norm(self.conv(x))).mean((2, 3)))


def main():
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    train = DataLoader(Pictures(96), batch_size=16, shuffle=True, num_workers=4)
    test = DataLoader(Pictures(32), batch_size=16)
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    steps = 0
    for epoch in range(2):
        net.train()
        for pictures, labels in train:
            optimizer.zero_grad(set_to_none=True)
            criterion(net(pictures), labels).backward()
            optimizer.step()
            steps += 1
        net.eval()
        with torch.no_grad():
            right = sum((net(p).argmax(1) == l).sum().item() for p, l in test)
        print(f"epoch {epoch} right {right}")
    print("steps", steps)


if __name__ == "__main__":
    main()

"""A generator and a discriminator that take turns; each update freezes the other's parameters."""
import torch
from torch import nn

torch.manual_seed(1)
generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
discriminator = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
g_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-3, betas=(0.5, 0.999))
criterion = nn.BCEWithLogitsLoss()
steps = 0
for i in range(10):
    real = torch.randn(32, 2) * 0.5 + 2
    for parameter in discriminator.parameters():
        parameter.requires_grad_(True)
    d_optimizer.zero_grad()
    criterion(discriminator(real), torch.ones(32, 1)).backward()
    fake = generator(torch.randn(32, 4))
    criterion(discriminator(fake.detach()), torch.zeros(32, 1)).backward()
    d_optimizer.step()
    for parameter in discriminator.parameters():
        parameter.requires_grad_(False)
    g_optimizer.zero_grad()
    g_loss = criterion(discriminator(fake), torch.ones(32, 1))
    g_loss.backward()
    g_optimizer.step()
    steps += 2
print(f"{g_loss.item():.6f}")
print("steps", steps)

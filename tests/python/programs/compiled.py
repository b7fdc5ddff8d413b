"""A compiled model; what was compiled is counted at the end."""
import torch
import torch._dynamo
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.down(nn.functional.gelu(self.up(self.norm(x))))


torch.manual_seed(12)
model = nn.Sequential(Block(16), Block(16), nn.Linear(16, 4))
compiled = torch.compile(model)
optimizer = torch.optim.AdamW(compiled.parameters(), lr=1e-3)
for step in range(8):
    x, y = torch.randn(32, 16), torch.randint(0, 4, (32,))
    loss = nn.functional.cross_entropy(compiled(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
compiled.eval()
with torch.no_grad():
    compiled(x)
counted = torch._dynamo.utils.counters
print("graphs", counted["stats"]["unique_graphs"], "breaks", sum(counted["graph_break"].values()))
print(f"{loss.item():.6f}")
print("steps", step + 1)

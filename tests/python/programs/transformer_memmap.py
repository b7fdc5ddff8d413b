"""A small transformer with dropout on a memory-mapped file of tokens, opened anew for every batch; its configuration is a
Python file that is executed."""
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

width, heads, block, batch, steps = 32, 4, 16, 8, 10
if os.path.exists("configuration.py"):
    exec(open("configuration.py").read())
if not os.path.exists("tokens.bin"):
    (np.arange(4096, dtype=np.uint16) * 7 % 61).tofile("tokens.bin")


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(64, width)
        self.place = nn.Parameter(torch.zeros(block, width))
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.1, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 64, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens, targets=None):
        mask = nn.Transformer.generate_square_subsequent_mask(block)
        x = self.head(self.layers(self.embed(tokens) + self.place, mask=mask, is_causal=True))
        return x, F.cross_entropy(x.flatten(0, 1), targets.flatten())


def get_batch():
    tokens = np.memmap("tokens.bin", dtype=np.uint16, mode="r")
    begins = torch.randint(len(tokens) - block - 1, (batch,))
    x = torch.stack([torch.from_numpy(tokens[b : b + block].astype(np.int64)) for b in begins])
    y = torch.stack([torch.from_numpy(tokens[b + 1 : b + 1 + block].astype(np.int64)) for b in begins])
    return x, y


torch.manual_seed(1337)
model = Model()
decay = [p for p in model.parameters() if p.dim() >= 2]
rest = [p for p in model.parameters() if p.dim() < 2]
optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}], lr=1e-3)
for step in range(steps):
    for group in optimizer.param_groups:
        group["lr"] = 1e-3 * min(1, (step + 1) / 4)
    x, y = get_batch()
    _, loss = model(x, targets=y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
print(f"{loss.item():.6f}")
print("steps", steps)

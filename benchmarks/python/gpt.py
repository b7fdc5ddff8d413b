"""A GPT on characters as people write it: 0.81 M parameters, dropout, a shuffling loader, AdamW, warm-up and cosine.

    gpt.py TEXT [--batch 12] [--block 64] [--steps 150] [--step-times FILE] [--save FILE] [--deterministic]

The same sizes as configs/gpt.toml. Knows nothing of Samestep; overhead.py times it with and without.
"""
import argparse
import math
import pathlib
import time

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset


class Characters(Dataset):
    def __init__(self, text, block):
        alphabet = sorted(set(text))
        index = {character: i for i, character in enumerate(alphabet)}
        self.data, self.block, self.size = torch.tensor([index[c] for c in text]), block, len(alphabet)

    def __len__(self):
        return len(self.data) - self.block - 1

    def __getitem__(self, i):
        return self.data[i : i + self.block], self.data[i + 1 : i + self.block + 1]


class Block(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(dropout))

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.qkv(self.before_attention(x)).split(width, dim=2)
        q, k, v = (part.view(batch, length, self.heads, -1).transpose(1, 2) for part in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0, is_causal=True)
        x = x + F.dropout(self.out(y.transpose(1, 2).reshape(batch, length, width)), self.dropout, self.training)
        return x + self.mlp(self.before_mlp(x))


class GPT(nn.Module):
    def __init__(self, symbols, block, width=128, layers=4, heads=4, dropout=0.1):
        super().__init__()
        self.token, self.place = nn.Embedding(symbols, width), nn.Embedding(block, width)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, symbols, bias=False)
        self.head.weight = self.token.weight

    def forward(self, x):
        hidden = self.drop(self.token(x) + self.place(torch.arange(x.shape[1])))
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(self.norm(hidden))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--block", type=int, default=64)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--step-times", type=pathlib.Path, help="each step's milliseconds go to this file")
    parser.add_argument("--save", type=pathlib.Path, help="the weights' bytes go to this file")
    parser.add_argument("--deterministic", action="store_true", help="as samestep record has it")
    options = parser.parse_args()

    if options.deterministic:
        torch.set_deterministic_debug_mode("warn")
    times = options.step_times.open("w") if options.step_times else None
    torch.manual_seed(7)
    data = Characters(options.text.read_text(encoding="utf-8"), options.block)
    loader = DataLoader(data, batch_size=options.batch, shuffle=True, drop_last=True)
    model = GPT(data.size, options.block)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 20) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / options.steps)))
    )
    began = time.perf_counter()
    for step, (x, y) in zip(range(options.steps), loader):
        logits = model(x)
        loss = F.cross_entropy(logits.view(-1, data.size), y.view(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 10 == 0:
            print(f"step {step} loss {loss.item():.4f}")
        now = time.perf_counter()
        if times is not None:
            print(f"ms {(now - began) * 1000:.4f}", file=times, flush=True)
        began = now
    if options.save:
        options.save.write_bytes(b"".join(p.detach().numpy().tobytes() for p in model.parameters()))


if __name__ == "__main__":
    main()

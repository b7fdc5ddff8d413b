"""Two processes that torch.multiprocessing spawns, the second of which begins first; `group`: as ranks of a process group."""
import sys
import tempfile
import time

import torch
import torch.distributed
import torch.multiprocessing


def train(rank, group):
    if group:
        torch.distributed.init_process_group("gloo", f"file://{group}", rank=rank, world_size=2)
    time.sleep(0.6 * (1 - rank))
    torch.manual_seed(10 + rank)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(8):
        optimizer.zero_grad()
        model(torch.randn(4, 3)).square().mean().backward()
        optimizer.step()
    if group:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(train, (f"{folder}/group" if "group" in sys.argv else "",), nprocs=2)

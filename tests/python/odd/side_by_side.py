"""Two processes that torch.multiprocessing spawns, both of which train at once; `group`: as ranks of a process group."""
import sys
import tempfile

import torch
import torch.distributed
import torch.multiprocessing


def train(rank, group, both):
    if group:
        torch.distributed.init_process_group("gloo", f"file://{group}", rank=rank, world_size=2)
    torch.manual_seed(10 + rank)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(8):
        optimizer.zero_grad()
        model(torch.randn(4, 3)).square().mean().backward()
        optimizer.step()
        both.wait()
    if group:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        both = torch.multiprocessing.get_context("spawn").Barrier(2)
        torch.multiprocessing.spawn(train, (f"{folder}/group" if "group" in sys.argv else "", both), nprocs=2)

"""Two processes forked from one that has torch and has used its threads; the second one ends by an exception. Each of their
operators is too small for threads of its own, the weights together are not."""
import multiprocessing
import sys

import torch


def train(rank, begun):
    """The second one begins when the first has, and the first ends when the second has begun: each has its rank."""
    if rank:
        begun[0].wait()
    torch.manual_seed(10 + rank)
    weights = [torch.nn.Parameter(torch.randn(30000)) for _ in range(20)]
    optimizer = torch.optim.SGD(weights, lr=0.1, momentum=0.9)
    for _ in range(8):
        optimizer.zero_grad()
        sum((weight * torch.rand(30000)).square().sum() for weight in weights).backward()
        optimizer.step()
        begun[rank].set()
    if rank:
        raise ValueError("as it was told")
    begun[1].wait()
    sys.exit(0)


class Data(torch.utils.data.Dataset):
    """What it gives is trained for, in the worker: such a training is no part of the program's own."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        weight = torch.nn.Parameter(torch.ones(3))
        optimizer = torch.optim.SGD([weight], lr=0.1)
        weight.square().sum().backward()
        optimizer.step()
        return weight.detach() + index


if __name__ == "__main__":
    print((torch.ones(1000000) * 2).sum().item())
    context = multiprocessing.get_context("fork")
    begun = [context.Event(), context.Event()]
    children = [context.Process(target=train, args=(rank, begun)) for rank in (0, 1)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    print([child.exitcode for child in children])
    print(list(torch.utils.data.DataLoader(Data(), num_workers=1, multiprocessing_context="fork")))

"""Ways to train that hooks get wrong easily, side by side: in every round each case makes its steps. Words choose cases."""
import sys

import torch
from torch import nn
from torch.nn import functional

ROUNDS = 6
torch.manual_seed(0)


def descend(loss, *optimizers):
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    return len(optimizers)


def sparse_gradients():
    """Rows come twice in a batch, and in two backward passes: what accumulates is not coalesced."""
    model = nn.Sequential(nn.Embedding(20, 4, sparse=True), nn.Linear(4, 2))
    bag = nn.EmbeddingBag(20, 2, mode="sum", sparse=True)
    optimizers = torch.optim.SparseAdam(model[0].parameters(), lr=0.1), torch.optim.SGD(model[1].parameters(), lr=0.1)
    of_bag = torch.optim.Adagrad(bag.parameters(), lr=0.1)
    while True:
        rows = torch.randint(20, (8,))
        of_bag.zero_grad()
        for part in rows.view(2, 4):
            bag(part[None]).square().sum().backward()
        of_bag.step()
        yield 1 + descend(model(rows).square().mean(), *optimizers)


def a_group_that_comes_later():
    model = nn.ModuleDict({"body": nn.Linear(3, 4), "head": nn.Linear(4, 2)})
    optimizer = torch.optim.Adam(model["body"].parameters(), lr=0.01)
    for number in range(ROUNDS):
        if number == 2:
            optimizer.add_param_group({"params": model["head"].parameters(), "lr": 0.1, "weight_decay": 0.01})
        yield descend(model["head"](model["body"](torch.randn(8, 3))).square().mean(), optimizer)


def fused_and_foreach():
    kinds = (
        lambda parameters: torch.optim.Adam(parameters, lr=0.01, fused=True),
        lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9, fused=True),
        lambda parameters: torch.optim.AdamW(parameters, lr=0.01, foreach=True, amsgrad=True),
        lambda parameters: torch.optim.Adam(parameters, lr=torch.tensor(0.01)),
        lambda parameters: torch.optim.RMSprop(parameters, lr=0.01, foreach=False, centered=True),
    )
    models = [nn.Linear(3, 2) for _ in kinds]
    optimizers = [kind(model.parameters()) for kind, model in zip(kinds, models)]
    while True:
        x = torch.randn(8, 3)
        yield sum(descend(model(x).square().mean(), optimizer) for model, optimizer in zip(models, optimizers))


class Strided(nn.Module):
    """Nothing here lies in memory as it is written down."""

    def __init__(self):
        super().__init__()
        self.turned = nn.Parameter(torch.randn(3, 5).t())
        self.part = nn.Parameter(torch.randn(4, 6)[:, ::2])
        self.register_buffer("scale", torch.full((1, 1), 0.5).expand(5, 3))
        self.register_buffer("mean", torch.zeros(6)[::2])

    def forward(self, x):
        with torch.no_grad():
            self.mean.lerp_(x.detach().mean(0), 0.1)
        return ((x - self.mean) @ (self.turned * self.scale).t()).square().mean() + (x[:4] @ self.part.t()).square().mean()


def strided_tensors():
    model, convolution = Strided(), nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    optimizers = torch.optim.Adam(model.parameters(), lr=0.01), torch.optim.Adam(convolution.parameters(), lr=0.01)
    while True:
        image = torch.randn(2, 3, 5, 5).to(memory_format=torch.channels_last)
        loss = model(torch.randn(1, 3).expand(8, 3)) + model(torch.randn(3, 8).t())
        yield descend(loss + convolution(image).square().mean(), *optimizers)


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        kinds = {"double": torch.float64, "half": torch.float16, "brain": torch.bfloat16, "complex": torch.complex64}
        for name, kind in kinds.items():
            setattr(self, f"as_{name}", nn.Parameter(torch.randn(3, dtype=kind)))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int32))
        self.register_buffer("mask", torch.tensor([True, False, True]))
        self.register_buffer("bytes", torch.zeros(3, dtype=torch.uint8))
        self.register_buffer("running", torch.zeros(3, dtype=torch.float16))

    def forward(self, x, rows):
        self.seen += 1
        self.bytes += self.mask.to(torch.uint8)
        with torch.no_grad():
            self.running.copy_(self.as_half * 0.5)
        parts = [(x[rows].to(weight.dtype) * weight).abs().square().mean() for weight in self.parameters()]
        return sum(part.double() for part in parts)


def every_type():
    model = Mixed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    while True:
        rows = torch.randint(8, (5,), dtype=torch.int32)
        yield descend(model(torch.randn(8, 3, dtype=torch.float64), rows), optimizer)


def clipped_by_value():
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for number in range(ROUNDS):
        optimizer.zero_grad()
        model(torch.randn(8, 3)).square().mean().backward()
        nn.utils.clip_grad_value_(model.parameters(), 0.1 if number < 3 else 0.05)
        optimizer.step()
        yield 1


def gradients_asked_for():
    """No backward() but torch.autograd.grad(); and a penalty on gradients that it gave."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    while True:
        x = torch.randn(8, 3, requires_grad=True)
        out = model(x).square().mean()
        (slope,) = torch.autograd.grad(out, x, create_graph=True)
        parameters = list(model.parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(out + slope.square().sum(), parameters)):
            parameter.grad = gradient
        optimizer.step()
        yield 1


def frozen_for_a_while():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for number in range(ROUNDS):
        model[0].requires_grad_(number not in (2, 3))
        yield descend(model(torch.randn(8, 3)).square().mean(), optimizer)


def tied_weights():
    model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10, bias=False))
    model[1].weight = model[0].weight
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
    while True:
        rows = torch.randint(10, (6,))
        yield descend(functional.cross_entropy(model(rows), rows.flip(0)), optimizer)


class Twice(torch.optim.SGD):
    """One step of it is two updates of its base's: so many are recorded."""

    def step(self, closure=None):
        super().step()
        return super().step()


class Wrapper:
    """Is no optimizer, and has one."""

    def __init__(self, optimizer):
        self.optimizer = optimizer

    def zero_grad(self):
        self.optimizer.zero_grad()

    def step(self):
        self.optimizer.step()


def subclasses_and_wrappers():
    models = [nn.Linear(3, 2) for _ in range(2)]
    optimizers = Twice(models[0].parameters(), lr=0.01, momentum=0.9), Wrapper(torch.optim.NAdam(models[1].parameters()))
    while True:
        yield 1 + sum(descend(m(torch.randn(8, 3)).square().mean(), o) for m, o in zip(models, optimizers))


CASES = (sparse_gradients, a_group_that_comes_later, fused_and_foreach, strided_tensors, every_type, clipped_by_value,
         gradients_asked_for, frozen_for_a_while, tied_weights, subclasses_and_wrappers)
cases = [case() for case in CASES if case.__name__ in sys.argv[1:] or not sys.argv[1:]]
print("steps", sum(next(case) for _ in range(ROUNDS) for case in cases))

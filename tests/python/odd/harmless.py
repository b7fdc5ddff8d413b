"""Things that programs do, one after the other: prints the same whether it is recorded or not."""
import weakref

import torch
from torch.func import functional_call, grad, vmap

torch.manual_seed(0)


class Layered(torch.optim.Optimizer):
    """Its step takes the model, not a closure."""

    def __init__(self, parameters):
        super().__init__(parameters, {"lr": 0.1})

    @torch.no_grad()
    def step(self, model):
        for parameter in model.parameters():
            parameter -= 0.1 * parameter.grad


class Proxy:
    """As those of web frameworks, which answer only inside a request."""

    @property
    def __class__(self):
        raise RuntimeError("working outside of a request")


class Big:
    pass


def train(model, optimizer, steps, *arguments):
    for _ in range(steps):
        loss = model(torch.randn(8, 3)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(*arguments)
    return loss.item()


def by_a_step_that_takes_the_model():
    model = torch.nn.Linear(3, 1)
    print("layered", train(model, Layered(model.parameters()), 3, model))


def beside_what_is_deleted():
    big, proxy = Big(), Proxy()
    seen, model = weakref.ref(big), torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    print("proxy", type(proxy).__name__, train(model, optimizer, 4))
    del big
    print("freed", seen() is None)


def by_gradients_of_each_sample():
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def one(parameters, x, y):
        return torch.nn.functional.mse_loss(functional_call(model, parameters, (x,)), y)

    for _ in range(4):
        x, y = torch.randn(8, 3), torch.randn(8, 1)
        parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
        each = vmap(grad(one), (None, 0, 0))(parameters, x, y)
        for name, parameter in model.named_parameters():
            parameter.grad = each[name].mean(0)
        optimizer.step()
    print("each sample", model.weight.tolist())


def in_folds():
    for _ in range(70):
        model = torch.nn.Linear(3, 1)
        train(model, torch.optim.SGD(model.parameters(), lr=0.1), 1)
    print("folds", model.weight.tolist())


by_a_step_that_takes_the_model()
beside_what_is_deleted()
by_gradients_of_each_sample()
in_folds()
print("unsigned", torch.tensor(2**63 + 5, dtype=torch.uint64).item(), torch.tensor([2**63 + 5], dtype=torch.uint64).tolist())
print("steps", 3 + 4 + 4 + 70)

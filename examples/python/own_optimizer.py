"""An optimizer that is none of torch.optim's, and a model whose forward pass is a plain function.

samestep record -- python own_optimizer.py
"""
import samestep
import torch
from torch import nn


class SignDescent:
    """Moves every weight by the sign of its gradient's moving average."""

    def __init__(self, parameters, rate):
        self.param_groups = [{"params": list(parameters), "rate": rate}]
        self.state = {}

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                average = self.state.setdefault(p, {"average": torch.zeros_like(p)})["average"]
                average.lerp_(p.grad, 0.1)
                p.sub_(group["rate"] * average.sign())


torch.manual_seed(1)
layers = nn.ParameterList([torch.randn(8, 16) * 0.3, torch.randn(16, 1) * 0.3])
optimizer = SignDescent(layers.parameters(), rate=0.01)
samestep.attach(layers, optimizer)

for number in range(12):
    x = torch.randn(32, 8)
    y = x.sum(1, keepdim=True)
    with samestep.step(batch=(x, y)):
        loss = (torch.tanh(x @ layers[0]) @ layers[1] - y).square().mean()
        for p in layers:
            p.grad = None
        loss.backward()
        optimizer.step()
print("loss", loss.item())
print("steps", 12)

"""An update written by hand on gradients that torch.func gave: there is no backward(), no .grad, no optimizer.

samestep record -- python by_hand.py
"""
import samestep
import torch
from torch import nn
from torch.func import functional_call, grad_and_value

torch.manual_seed(2)
model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
weights = dict(model.named_parameters())
samestep.attach(model)


def loss_of(weights, x, y):
    return (functional_call(model, weights, (x,)) - y).square().mean()


for number in range(12):
    x = torch.randn(32, 8)
    y = x.sum(1, keepdim=True)
    with samestep.step(batch=(x, y)) as step:
        rate = 0.1 / (1 + number // 4)
        step.hyper("rate", rate)
        gradients, loss = grad_and_value(loss_of)(weights, x, y)
        step.loss(loss)
        for name, p in weights.items():
            p.grad = gradients[name]
        step.gradients()
        with torch.no_grad():
            for p in weights.values():
                p.sub_(rate * p.grad)
print("loss", loss.item())
print("steps", 12)

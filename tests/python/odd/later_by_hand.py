"""Updates by hand; one parameter is used from the third step on. A word edits its last update."""
import sys

import torch

torch.manual_seed(0)
weight, offset = torch.randn(3, requires_grad=True), torch.zeros(1, requires_grad=True)
for number in range(6):
    out = torch.randn(8, 3) @ weight + (offset if number >= 2 else 0)
    (out - 1).square().mean().backward()
    with torch.no_grad():
        for parameter in (weight, offset):
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
                parameter.grad = None
        if number == 5 and len(sys.argv) > 1:
            offset += 0.001

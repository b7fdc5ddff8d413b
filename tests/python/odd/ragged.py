"""Batches that are nested or sparse, and weights that are swapped around a step, as sharpness-aware minimisation does
it. A word edits the offsets, or an index, of one batch: its elements stay."""
import sys

import torch

EDIT = "".join(sys.argv[1:])
torch.manual_seed(0)


def rows(number):
    return [torch.randn(2 + (number + i) % 3, 3) for i in range(3)]


def batches(number):
    parts = rows(number)
    if EDIT == "offsets" and number == 5:
        everything = torch.cat(parts)
        parts = [everything[:1], everything[1:5], everything[5:]]
    yield torch.nested.nested_tensor(parts)
    yield torch.nested.nested_tensor(parts, layout=torch.jagged)
    dense = torch.randn(4, 6) * (torch.rand(4, 6) > 0.5)
    if EDIT == "index" and number == 5:
        dense = dense.flip(1)
    yield dense.to_sparse()
    for layout in (torch.sparse_csr, torch.sparse_csc):
        yield dense.to_sparse(layout=layout)
    for layout in (torch.sparse_bsr, torch.sparse_bsc):
        yield dense.to_sparse(layout=layout, blocksize=(2, 2))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)

    def forward(self, kinds):
        flat = [kind._values() if kind.layout == torch.sparse_coo else kind.values().reshape(-1) for kind in kinds]
        return self.layer(torch.cat(flat)[:30].view(-1, 3)).square().mean()


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for number in range(8):
    kinds = list(batches(number))
    optimizer.zero_grad()
    model(kinds).backward()
    kept = [parameter.data.clone() for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.data = parameter.data + 0.05 * parameter.grad / parameter.grad.norm()
    optimizer.zero_grad()
    model(kinds).backward()
    for parameter, before in zip(model.parameters(), kept):
        parameter.data = before
    optimizer.step()
print("steps", 8)

"""Logistic regression on two bare tensors, no module and no optimizer, as a first tutorial has it."""
import torch

torch.manual_seed(8)
x = torch.randn(200, 3)
y = (x[:, 0] - 2 * x[:, 1] > 0.1).float()
w = torch.zeros(3, requires_grad=True)
b = torch.zeros(1, requires_grad=True)
steps = 0
for epoch in range(4):
    for begin in range(0, 200, 50):
        logits = x[begin : begin + 50] @ w + b
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, y[begin : begin + 50])
        loss.backward()
        with torch.no_grad():
            w -= 0.5 * w.grad
            b -= 0.5 * b.grad
            w.grad.zero_()
            b.grad.zero_()
        steps += 1
    print(f"epoch {epoch} loss {loss.item():.6f}")
print("steps", steps)

"""L-BFGS with a line search: some twenty passes a step."""
import torch

torch.manual_seed(2)
x = torch.randn(64, 3)
y = (x**2).sum(1, keepdim=True)
model = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
optimizer = torch.optim.LBFGS(model.parameters(), max_iter=10, line_search_fn="strong_wolfe")


def closure():
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x), y)
    loss.backward()
    return loss


for step in range(6):
    print(f"{optimizer.step(closure).item():.6f}")
print("steps", step + 1)

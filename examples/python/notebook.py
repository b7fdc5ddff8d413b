"""As the cells of a notebook: nobody launched this program, so it starts its recorder itself.

python notebook.py
"""
# %%
import samestep
import torch

# %%
recording = samestep.record("notebook-run")

# %%
torch.manual_seed(5)
model = torch.nn.Linear(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def train(count):
    for _ in range(count):
        x = torch.randn(16, 8)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


# %%
print("loss", train(6))

# %%
print("loss", train(6))
recording.stop()
print("steps", 12)

"""fastai's Learner with one-cycle training. Its optimizers are its own: none derives from torch.optim."""
import torch
from fastai.basics import *
from fastai.callback.schedule import *
from torch import nn

set_seed(26)
x = torch.randn(96, 5)
y = (x[:, :1] * 2 - x[:, 1:2]).contiguous()
train = DataLoader(list(zip(x[:80], y[:80])), bs=16, shuffle=True)
valid = DataLoader(list(zip(x[80:], y[80:])), bs=16)
learner = Learner(DataLoaders(train, valid), nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1)), loss_func=nn.MSELoss())
steps = 0


class Count(Callback):
    def after_step(self):
        global steps
        steps += 1


with learner.no_bar(), learner.no_logging():
    learner.fit_one_cycle(3, 1e-2, cbs=[Count()])
print(f"loss {learner.validate()[0]:.6f}")
print("steps", steps)

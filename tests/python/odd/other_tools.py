"""What else looks into functions and modules: says the same with and without a recorder."""
import torch
import torch.fx
from torch.nn import functional

torch.manual_seed(0)
calls = 0


@torch.jit.script
def scripted(x, y):
    return functional.mse_loss(x, y)


class Batch:
    def __init__(self, x, y):
        self.x, self.y, self.itself = x, y, self


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 1))

    def forward(self, batch):
        return functional.mse_loss(self.layers(batch.x), batch.y)


def count(module_call):
    def counted(self, *args, **kwargs):
        global calls
        calls += 1
        return module_call(self, *args, **kwargs)

    return counted


class Stubborn(torch.optim.lr_scheduler.StepLR):
    def state_dict(self):
        raise RuntimeError("has none")


def train(rate=0.1, steps=4):
    settings = locals()
    big = torch.zeros(3, device="meta")
    on_meta = torch.nn.Linear(3, 3, device="meta")
    torch.nn.Module.__call__ = count(torch.nn.Module.__call__)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = Stubborn(optimizer, 2)
    for _ in range(steps):
        x = torch.randn(8, 3)
        loss = model(Batch(x, x.sum(1, keepdim=True)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    del big
    print("settings", settings, on_meta.weight.device)
    return model


model = train()
print("calls", calls)
print("scripted", scripted(torch.ones(3), torch.zeros(3)).item())
print("traced", [node.op for node in torch.fx.symbolic_trace(model.layers).graph.nodes])
print("weights", [p.flatten().tolist() for p in model.parameters()])

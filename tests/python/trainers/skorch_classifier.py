"""A skorch NeuralNetClassifier, as a scikit-learn user has it: fit, a validation split, early stopping, predict."""
import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping
from torch import nn


class Net(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 2))

    def forward(self, x):
        return self.layers(x)


class Count(Callback):
    steps = 0

    def on_batch_end(self, net, training=False, **_):
        self.steps += training


torch.manual_seed(23)
random = np.random.RandomState(23)
x = random.normal(size=(120, 6)).astype(np.float32)
y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
count = Count()
net = NeuralNetClassifier(
    Net,
    max_epochs=4,
    lr=0.1,
    batch_size=24,
    criterion=nn.CrossEntropyLoss,
    optimizer=torch.optim.SGD,
    optimizer__momentum=0.9,
    iterator_train__shuffle=True,
    callbacks=[count, EarlyStopping(patience=5)],
    verbose=0,
)
net.fit(x, y)
print("right", int((net.predict(x) == y).sum()), f"loss {net.history[-1, 'valid_loss']:.6f}")
print("steps", count.steps)

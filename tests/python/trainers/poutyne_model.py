"""poutyne's Keras-like Model."""
import torch
from poutyne import Callback, Model
from torch import nn


class Count(Callback):
    steps = 0

    def on_train_batch_end(self, batch_number, logs):
        self.steps += 1


torch.manual_seed(25)
x = torch.randn(80, 4)
y = x[:, :1] - x[:, 1:2]
network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
model = Model(network, torch.optim.Adam(network.parameters(), lr=0.01), "mse")
count = Count()
history = model.fit(x, y, validation_data=(x[:20], y[:20]), epochs=3, batch_size=16, callbacks=[count], progress_options={"coloring": False}, verbose=False)
print(f"loss {history[-1]['val_loss']:.6f}")
print("steps", count.steps)

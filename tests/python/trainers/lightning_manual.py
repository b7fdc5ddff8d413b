"""lightning.Trainer with manual optimization: the two optimizers of a GAN."""
import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Gan(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.generator = nn.Sequential(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 2))
        self.discriminator = nn.Sequential(nn.Linear(2, 12), nn.LeakyReLU(0.2), nn.Linear(12, 1))
        self.judge = nn.BCEWithLogitsLoss()

    def training_step(self, batch, number):
        (real,) = batch
        generator, discriminator = self.optimizers()
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)

        self.toggle_optimizer(discriminator)
        fake = self.generator(torch.randn(len(real), 3)).detach()
        loss = self.judge(self.discriminator(real), ones) + self.judge(self.discriminator(fake), zeros)
        discriminator.zero_grad()
        self.manual_backward(loss)
        discriminator.step()
        self.untoggle_optimizer(discriminator)

        self.toggle_optimizer(generator)
        loss = self.judge(self.discriminator(self.generator(torch.randn(len(real), 3))), ones)
        generator.zero_grad()
        self.manual_backward(loss)
        generator.step()
        self.untoggle_optimizer(generator)
        self.last = loss.item()

    def configure_optimizers(self):
        return [torch.optim.Adam(part.parameters(), lr=2e-3) for part in (self.generator, self.discriminator)]


lightning.seed_everything(22, verbose=False)
model = Gan()
loader = DataLoader(TensorDataset(torch.randn(64, 2)), 16, shuffle=True)
trainer = lightning.Trainer(
    max_epochs=2,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(model, loader)
print(f"loss {model.last:.6f}")
print("steps", trainer.global_step)

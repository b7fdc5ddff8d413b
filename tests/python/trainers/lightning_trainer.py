"""lightning.Trainer: automatic optimization, a schedule, clipping, accumulation, validation, checkpoints."""
import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Classifier(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, 3))

    def training_step(self, batch, number):
        x, y = batch
        loss = nn.functional.cross_entropy(self.layers(x), y)
        self.log("loss", loss)
        return loss

    def validation_step(self, batch, number):
        x, y = batch
        self.log("validation", nn.functional.cross_entropy(self.layers(x), y))

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-2)
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)}


def rows(count):
    x = torch.randn(count, 8)
    return TensorDataset(x, x[:, :3].argmax(1))


lightning.seed_everything(21, verbose=False)
train, validation = DataLoader(rows(96), 8, shuffle=True), DataLoader(rows(32), 16)
model = Classifier()
trainer = lightning.Trainer(
    max_epochs=2,
    accelerator="cpu",
    accumulate_grad_batches=2,
    gradient_clip_val=0.5,
    logger=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(model, train, validation)
print(f"validation {trainer.callback_metrics['validation'].item():.6f}")
print("steps", trainer.global_step)

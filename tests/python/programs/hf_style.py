"""A trainer in the manner of the large libraries: arguments as a dataclass, data as dictionaries, models that return their
loss, callbacks, accumulation, warm-up, evaluation every few steps, a checkpoint at the end."""
import dataclasses
import json
import os

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


@dataclasses.dataclass
class Arguments:
    output: str = "out"
    batch: int = 4
    accumulation: int = 2
    epochs: int = 2
    rate: float = 5e-3
    warm_up: int = 3
    clip: float = 1.0
    evaluate_every: int = 4
    seed: int = 42


@dataclasses.dataclass
class Output:
    loss: torch.Tensor
    logits: torch.Tensor


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = nn.Embedding(50, 16)
        self.encoder = nn.GRU(16, 24, batch_first=True)
        self.dropout = nn.Dropout(0.1)
        self.score = nn.Linear(24, 3)

    def forward(self, input_ids=None, attention_mask=None, labels=None):
        _, last = self.encoder(self.embeddings(input_ids) * attention_mask.unsqueeze(-1))
        logits = self.score(self.dropout(last[0]))
        return Output(nn.functional.cross_entropy(logits, labels), logits)


class Sentences(Dataset):
    def __init__(self, count, seed):
        draw = torch.Generator().manual_seed(seed)
        self.rows = [torch.randint(0, 50, (int(n),), generator=draw) for n in torch.randint(3, 9, (count,), generator=draw)]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return {"input_ids": self.rows[i], "labels": int(self.rows[i].sum()) % 3}


def collate(rows):
    ids = nn.utils.rnn.pad_sequence([row["input_ids"] for row in rows], batch_first=True)
    return {"input_ids": ids, "attention_mask": (ids != 0).float(), "labels": torch.tensor([row["labels"] for row in rows])}


class PrintLoss:
    def on_step_end(self, trainer, loss):
        if trainer.global_step % 4 == 0:
            print(f"step {trainer.global_step} loss {loss:.5f}")


class Trainer:
    def __init__(self, model, arguments, train, evaluation, callbacks):
        self.model, self.arguments, self.callbacks = model, arguments, callbacks
        self.train_loader = DataLoader(train, arguments.batch, shuffle=True, collate_fn=collate)
        self.evaluation_loader = DataLoader(evaluation, 16, collate_fn=collate)
        self.global_step = 0

    def create_optimizer(self):
        decay = [p for name, p in self.model.named_parameters() if "bias" not in name]
        rest = [p for name, p in self.model.named_parameters() if "bias" in name]
        groups = [{"params": decay, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=self.arguments.rate)
        warm = self.arguments.warm_up
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: min(1.0, (step + 1) / warm))

    def training_step(self, inputs):
        self.model.train()
        loss = self.model(**inputs).loss / self.arguments.accumulation
        loss.backward()
        return loss.detach()

    def evaluate(self):
        self.model.eval()
        with torch.no_grad():
            losses = [self.model(**inputs).loss.item() for inputs in self.evaluation_loader]
        print(f"evaluation {sum(losses) / len(losses):.5f}")

    def train(self):
        self.create_optimizer()
        for _ in range(self.arguments.epochs):
            total = torch.tensor(0.0)
            for i, inputs in enumerate(self.train_loader):
                total += self.training_step(inputs)
                if (i + 1) % self.arguments.accumulation:
                    continue
                nn.utils.clip_grad_norm_(self.model.parameters(), self.arguments.clip)
                self.optimizer.step()
                self.scheduler.step()
                self.model.zero_grad()
                self.global_step += 1
                for callback in self.callbacks:
                    callback.on_step_end(self, total.item())
                total.zero_()
                if self.global_step % self.arguments.evaluate_every == 0:
                    self.evaluate()
        self.save()

    def save(self):
        os.makedirs(self.arguments.output, exist_ok=True)
        torch.save(self.model.state_dict(), os.path.join(self.arguments.output, "model.pt"))
        with open(os.path.join(self.arguments.output, "arguments.json"), "w") as file:
            json.dump(dataclasses.asdict(self.arguments), file)


arguments = Arguments()
torch.manual_seed(arguments.seed)
trainer = Trainer(Classifier(), arguments, Sentences(48, 1), Sentences(16, 2), [PrintLoss()])
trainer.train()
print("steps", trainer.global_step)

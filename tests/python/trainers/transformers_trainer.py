"""transformers.Trainer on a tiny GPT-2 of its own, with accumulation, warm-up, evaluation and checkpoints."""
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, set_seed


class Tokens(torch.utils.data.Dataset):
    def __init__(self, count, seed):
        self.rows = torch.randint(0, 48, (count, 16), generator=torch.Generator().manual_seed(seed))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return {"input_ids": self.rows[i], "labels": self.rows[i]}


set_seed(17)
model = GPT2LMHeadModel(GPT2Config(vocab_size=48, n_positions=16, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0))
arguments = TrainingArguments(
    output_dir="out",
    per_device_train_batch_size=4,
    gradient_accumulation_steps=2,
    num_train_epochs=2,
    learning_rate=1e-3,
    warmup_steps=2,
    lr_scheduler_type="cosine",
    eval_strategy="steps",
    eval_steps=4,
    save_steps=6,
    logging_steps=4,
    report_to=[],
    disable_tqdm=True,
    use_cpu=True,
)
trainer = Trainer(model=model, args=arguments, train_dataset=Tokens(48, 1), eval_dataset=Tokens(8, 2))
result = trainer.train()
print(f"loss {result.training_loss:.6f}")
print("steps", trainer.state.global_step)

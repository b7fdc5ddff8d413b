"""A small classifier that trains 18 steps: KIND [EDIT], an edit of it as somebody may have made it.

KIND is how the program makes its update: "optimizer", "closure" (a trainer hands the optimizer a function), "lbfgs"
(which calls that several times), "two optimizers" (one of them of the other's base class), "gan" (two models, frozen in
turn), "amp" (autocast to bfloat16, a gradient scaler, clipping), "compiled" (torch.compile of the model) or "by hand".

    edited.py each FOLDER KIND:EDIT...     records each in FOLDER, as a notebook would: of all, torch is imported once
"""
import copy
import multiprocessing
import os
import random
import sys

import numpy
import torch
from torch import nn

import samestep

STEP = 3  # at which edits begin that are no matter of the start
STATE_STEP = 16  # one at which the optimizer's state is read
STEPS = 18


class Negated(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return -gradient


class Training:
    def __init__(self, kind, edit):
        self.kind, self.edit, self.step = kind, edit, None
        torch.manual_seed(7)
        random.seed(7)
        numpy.random.seed(7)
        self.data, self.labels = torch.randn(64, 6), torch.randint(3, (64,))
        if edit == "permuted labels":
            self.labels = self.labels[torch.randperm(64, generator=torch.Generator().manual_seed(1))]
        self.model = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.1), nn.Linear(12, 3))
        self.average = copy.deepcopy(self.model)
        self.called = torch.compile(self.model, backend="aot_eager") if kind == "compiled" else self.model
        scale = 2.0 ** (9 if edit == "scale" else 8)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=scale) if kind == "amp" else None
        self.note, self.plateau = 0, None
        self.rate = 0.011 if edit == "rate" else 0.01
        self.update = self.maker_of_updates()
        samestep.state("note", lambda: self.note, lambda value: setattr(self, "note", value))

    def due(self, edit):
        return self.edit == edit and self.step == (STATE_STEP if "state" in edit else STEP)

    # --- what makes the update

    def maker_of_updates(self):
        """A function that makes the update, given one that computes gradients."""
        if self.kind == "by hand":
            return self.update_by_hand
        optimizer = self.make_optimizer()
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=100)
        if self.kind in ("closure", "lbfgs"):
            return optimizer.step

        def update(compute):
            compute()
            optimizer.step()

        return {"gan": Rivals(self, optimizer).update, "amp": self.scaled(optimizer)}.get(self.kind, update)

    def scaled(self, optimizer):
        def update(compute):
            compute()
            self.scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), 0.5 if self.due("clipping") else 1.0)
            self.scaler.step(optimizer)
            self.scaler.update()

        return update

    def make_optimizer(self):
        if self.kind == "lbfgs":
            return edited(torch.optim.LBFGS, self)(self.model.parameters(), lr=self.rate, max_iter=3)
        if self.kind == "two optimizers":
            self.idle = torch.optim.Adam([nn.Parameter(torch.zeros(1))])
        betas = (0.999, 0.9) if self.edit == "swapped betas" else (0.9, 0.999)
        return edited(torch.optim.Adam, self)(self.model.parameters(), lr=self.rate, betas=betas)

    def update_by_hand(self, compute):
        compute()
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter -= self.rate * parameter.grad
            if self.due("update"):
                change(self.model[4].bias)

    # --- a step

    def gradients_of(self, place):
        loss = nn.functional.cross_entropy(self.answer_to(self.data[place]), self.labels[place])
        self.model.zero_grad()
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()
        return loss

    def answer_to(self, x):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.kind == "amp"):
            if self.kind == "compiled":
                out = self.called(x)
                if self.due("backward"):
                    out = Negated.apply(out)
            else:
                hidden = self.model[0](x)
                out = self.model[1:](Negated.apply(hidden) if self.due("backward") else hidden)
        return out.float() * (1.001 if self.due("forward") else 1.0)

    def evaluate(self):
        self.model.eval()
        self.model[1].train(self.edit == "evaluation changes BatchNorm")
        with torch.no_grad():
            self.model(self.data[:16])
            if self.edit == "evaluation draws":
                torch.rand(1)
            if self.edit == "evaluation draws from numpy":
                numpy.random.randn()
        if self.edit != "train() is missing":
            self.model.train()

    def after_step(self):
        with torch.no_grad():
            for smooth, raw in zip(self.average.parameters(), self.model.parameters()):
                smooth.lerp_(raw, 0.2 if self.due("average") else 0.1)
            if self.due("weight between steps"):
                change(self.model[4].bias)
        if self.plateau is not None:
            self.plateau.step(0.5 if self.due("scheduler") else 1.0)
        self.note += 2 if self.due("note") else 1

    def run(self):
        for self.step in range(STEPS):
            place = torch.randint(64, (8,))
            self.update(lambda: self.gradients_of(place))
            self.after_step()
            if self.step == STEP - 1:
                self.evaluate()


class Rivals:
    """The classifier's steps take turns with those of a judge, which is to tell its answers from labels."""

    def __init__(self, training, optimizer):
        self.training, self.optimizer = training, optimizer
        self.judge = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
        self.own = torch.optim.SGD(self.judge.parameters(), lr=0.05 if training.edit == "the judge's rate" else 0.1)

    def update(self, compute):
        judges = self.training.step % 2 == 0
        self.training.model.requires_grad_(not judges)
        self.judge.requires_grad_(judges)
        if not judges:
            compute()
            return self.optimizer.step()
        place = torch.randint(64, (8,))
        answers = self.training.answer_to(self.training.data[place]).softmax(1)
        labels = nn.functional.one_hot(self.training.labels[place], 3).float()
        score = self.judge(torch.cat([answers, labels]))
        real = torch.tensor([0.0, 1.0]).repeat_interleave(8)[:, None]
        loss = nn.functional.binary_cross_entropy_with_logits(score, real)
        self.own.zero_grad()
        loss.backward()
        self.own.step()


def change(tensor):
    tensor.view(-1)[0] += 1e-6


def edited(base, training):
    """`base` as a script may have it: with something of its own behind it."""

    class Edited(base):
        @torch.no_grad()
        def step(self, closure=None):
            with torch.enable_grad():
                loss = super().step(closure)
            if training.due("update"):
                change(training.model[4].bias)
            if training.due("state of the optimizer"):
                state = self.state[training.model[0].weight]
                change(state["exp_avg"] if "exp_avg" in state else state["prev_flat_grad"])
            return loss

    return Edited


def record(folder, kind, edit):
    with samestep.record(os.path.join(folder, f"{kind}:{edit}"), "--anchor-every", 4):
        Training(kind, edit).run()


def record_each(folder, trainings):
    """Each in a process of its own, forked off here, where what an optimizer imports when it is made is imported
    too."""
    import torch._dynamo  # noqa: F401

    processes = multiprocessing.get_context("fork")
    for training in trainings:
        process = processes.Process(target=record, args=(folder, *training.split(":")))
        process.start()
        process.join()
        if process.exitcode != 0:
            sys.exit(f"{training} ended with {process.exitcode}")


if __name__ == "__main__":
    if sys.argv[1] == "each":
        record_each(sys.argv[2], sys.argv[3:])
    else:
        Training(sys.argv[1], "".join(sys.argv[2:])).run()

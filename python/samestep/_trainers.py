"""The loop of transformers.Trainer, which a replay may enter in the middle as it may a loop over samestep.steps().

An iteration of it ends when the batches of the next update have been fetched: between that and the update nothing is drawn,
and the trainer's own way of resuming, which passes over the batches consumed, brings a program there. What a random collator
drew for the first batches after a jump is drawn again: where it comes out otherwise, `batch` shows it.
"""
import dataclasses
import functools
import sys

from samestep import _batches, _kept

_USED = ("_inner_training_loop", "_run_epoch", "get_batch_samples", "_load_rng_state")
_NUMBERS = ("_tr_loss", "_total_loss_scalar", "_globalstep_last_logged", "current_flos")
_TIMINGS = ("_runtime", "_per_second")
_ANCHOR = "samestep: from an anchor"  # in the place of a checkpoint's folder


def recognise(moments):
    """Once transformers.trainer is imported; until then does nothing."""
    kind = getattr(sys.modules.get("transformers.trainer"), "Trainer", None)
    if not all(hasattr(kind, name) for name in _USED) or hasattr(kind._run_epoch, "samestep"):
        return  # another version: a replay is led through its loop
    train, run_epoch, fetch, load_rng = (getattr(kind, name) for name in _USED)

    @functools.wraps(train)
    def _inner_training_loop(self, *args, **kwargs):
        begins = moments.on() and moments.loop is None and moments.native is None
        loop = _Loop(moments, self) if begins else None
        self.samestep_loop = loop
        try:
            return train(self, *args, **kwargs)
        finally:
            if loop is not None:
                loop.end()

    @functools.wraps(run_epoch)
    def _run_epoch(self, **about):
        loop = getattr(self, "samestep_loop", None)
        if loop is not None and (about := loop.begin_epoch(about)) is None:
            return None
        return run_epoch(self, **about)

    @functools.wraps(fetch)
    def get_batch_samples(self, *args, **kwargs):
        fetched = fetch(self, *args, **kwargs)
        if getattr(self, "samestep_loop", None) is not None:
            self.samestep_loop.fetched()
        return fetched

    @functools.wraps(load_rng)
    def _load_rng_state(self, checkpoint):
        if checkpoint is not _ANCHOR:
            load_rng(self, checkpoint)

    _run_epoch.samestep = True
    kind._inner_training_loop, kind._run_epoch = _inner_training_loop, _run_epoch
    kind.get_batch_samples, kind._load_rng_state = get_batch_samples, _load_rng_state


class _Loop:
    """Where one call of train() is; stands in moments.loop while it runs."""

    def __init__(self, moments, trainer):
        self._moments, self._trainer = moments, trainer
        self._loader, self._began = None, None  # and the generators when its epoch began
        self._entered = None  # the generators of the anchor that a jump goes to, until they are in place
        self._jumped, self._open, self._steps = False, False, 0

    def begin_epoch(self, about):
        """What to call _run_epoch with; None for an epoch that a jump leaves out."""
        self._loader = about["train_dataloader"]
        if not self._open:
            self._began = _batches.states(self._loader)
            self._moments.guarded(self._begin, about["model"])
            self._open = True
        if not self._jumped:
            self._began = _batches.states(self._loader)
            return about
        done, updates = self._trainer.state.global_step, about["num_update_steps_per_epoch"]
        if about["epoch"] < done // updates:
            return None
        self._jumped = False
        _batches.put_states(self._loader, self._began)
        consumed = (done % updates) * self._trainer.args.gradient_accumulation_steps
        return {**about, "resume_from_checkpoint": _ANCHOR, "epochs_trained": about["epoch"],
                "steps_trained_in_current_epoch": consumed}

    def _begin(self, model):
        self._moments.roots.add(model)
        _kept.add("transformers.Trainer", self._where, self._go_to, only_jumps=True)
        self._moments.loop = self
        self._moments.open()
        self._steps = self._moments.steps()
        if self._jumped:
            self._entered = _batches.states(self._loader)

    def fetched(self):
        if self._entered is not None:
            _batches.put_states(self._loader, self._entered)
            self._entered = None
        self._end_iteration()

    def _end_iteration(self):
        if self._moments.loop is self and self._moments.steps() > self._steps:
            self._steps = self._moments.steps()
            self._moments.guarded(self._moments.end_iteration)

    def end(self):
        self._end_iteration()
        if self._moments.loop is self:
            self._moments.loop = None

    # --- what a restart of the trainer must know

    def _where(self):
        trainer = self._trainer
        state = {field.name: getattr(trainer.state, field.name) for field in dataclasses.fields(trainer.state)}
        state["log_history"] = [_untimed(entry) for entry in state["log_history"]]
        numbers = {name: getattr(trainer, name) for name in _NUMBERS if hasattr(trainer, name)}
        callbacks = [_kept.plain_part(one.state()["attributes"]) for one in self._stateful()]
        return {"state": _kept.plain_part(state), "numbers": _kept.plain_part(numbers), "callbacks": callbacks,
                "began": self._began}

    def _go_to(self, where):
        _set_all(self._trainer.state, where["state"])
        _set_all(self._trainer, where["numbers"])
        for one, attributes in zip(self._stateful(), where["callbacks"]):
            _set_all(one, attributes)
        self._began, self._jumped = where["began"], True

    def _stateful(self):
        """Callbacks that keep something of their own (early stopping), and the flags that they set."""
        trainer = self._trainer
        kind = sys.modules["transformers.trainer_callback"].ExportableState
        return [one for one in (*trainer.callback_handler.callbacks, trainer.control) if isinstance(one, kind)]


def _untimed(entry):
    """What a trainer logged, without how long it took: two equal trainings differ in that."""
    return {name: value for name, value in entry.items() if not name.endswith(_TIMINGS)}


def _set_all(owner, attributes):
    for name, value in attributes.items():
        setattr(owner, name, value)

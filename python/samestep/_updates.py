"""Where an update begins and where it ends: calls of optimizers' steps, which may stand in one another.

P and O of _moments.py are found here. P is the innermost entry, behind every hook. O is the return of the outermost call
around it: what a subclass or a wrapping optimizer does behind its base's step() is part of the update. It is sooner where
another update, a forward or a backward pass begins in there.
"""
import functools
import threading
import types

import torch


class Update:
    """One entry of an optimizer's step: closures and nested optimizers make several of one update."""

    def __init__(self, optimizer):
        self.optimizer, self.gradients_read, self.inner = optimizer, False, False
        self.skipped = False  # by a fused optimizer itself


class Updates:
    def __init__(self, moments):
        self._moments = moments
        self._entered = threading.local()  # `updates`: each thread's stack of Update
        self._waiting = None  # the Update that is made and whose O has not come

    def make(self, step, optimizer, args, kwargs):
        """optimizer.step, behind every hook."""
        if self._waiting is not None:
            self._moments.guarded(self.reach_o)
        entry = Update(optimizer)
        updates = self._entered.__dict__.setdefault("updates", [])
        if updates:
            updates[-1].inner = True
        updates.append(entry)
        try:
            result = self._make_update(entry, step, args, kwargs)
            if not entry.inner and entry.gradients_read:
                entry.skipped, self._waiting = _left_out(optimizer), entry
        finally:
            updates.pop()
            if self._waiting is not None and not updates:
                self._moments.guarded(self.reach_o)
        return result

    def _make_update(self, entry, step, args, kwargs):
        closure = _closure_of(step, args, kwargs)
        if closure is not None:
            args, kwargs = self._with_closure(entry, closure, args, kwargs)
            return step(entry.optimizer, *args, **kwargs)
        self._moments.guarded(self._moments.before_update, entry, False)
        return self._make_step(step, entry.optimizer, args, kwargs)

    def reach_o(self):
        """Of the update that was made last, if nothing has read its outcome."""
        made, self._waiting = self._waiting, None
        if made is not None:
            self._moments.after_update(made, made.skipped)

    def _make_step(self, step, optimizer, args, kwargs):
        """A step without a closure. What torch's own optimizers read out of their state decides nothing else, and on the
        way to an anchor they need not run at all."""
        own = getattr(getattr(type(optimizer), "step", None), "__module__", "")
        if self._moments.native is None or not own.startswith("torch.optim"):
            return step(optimizer, *args, **kwargs)
        if self._moments.native.fast_forwarding():
            return None
        self._moments.native.pause_reads()
        try:
            return step(optimizer, *args, **kwargs)
        finally:
            self._moments.native.resume_reads()

    def _with_closure(self, entry, closure, args, kwargs):
        @functools.wraps(closure)
        def first_pass_is_p(*inner_args, **inner_kwargs):
            value = closure(*inner_args, **inner_kwargs)
            if not entry.gradients_read:
                self._moments.guarded(self._moments.before_update, entry, True)
            return value

        if args:
            return (first_pass_is_p, *args[1:]), kwargs
        return args, {**kwargs, "closure": first_pass_is_p}

    def skip(self, optimizer):
        """A gradient scaler met infinities and left the update out."""
        entry = Update(optimizer)
        self._moments.guarded(self._moments.before_update, entry, False)
        self._moments.guarded(self._moments.after_update, entry, True)


def _closure_of(step, args, kwargs):
    """What an optimizer calls to compute gradients; not whatever else its own step() takes first."""
    code = getattr(step, "__code__", None)
    first = code.co_varnames[1] if code is not None and code.co_argcount > 1 else "closure"
    closure = args[0] if args else kwargs.get("closure")
    named = not args or first == "closure" or isinstance(closure, (types.FunctionType, types.MethodType, functools.partial))
    return closure if named and callable(closure) and not isinstance(closure, torch.nn.Module) else None


def _left_out(optimizer):
    """Whether a gradient scaler had told a fused optimizer, which looks itself, that it met infinities. A read that counts: a
    replay that computes nothing is given what it read then."""
    found = getattr(optimizer, "found_inf", None)
    return isinstance(found, torch.Tensor) and bool(found)

"""What is put in place in torch, once, right after the program's own import of it.

It costs a step a few function calls, changes no value that the program sees, and steps aside while torch.compile traces.
"""
import atexit
import functools
import sys

import torch

from samestep._moments import Moments


def install():
    moments = Moments()
    moments.warnings.install()
    torch.set_deterministic_debug_mode("warn")
    _wrap_optimizers(moments)
    _wrap_backward(moments)
    _wrap_losses(moments)
    _wrap_scaler(moments)
    _wrap_clipping(moments)
    _wrap_loaders(moments)
    moments.roots.watch_registrations()
    _say_goodbye(moments)


def _wrap_optimizers(moments):
    kind = torch.optim.Optimizer
    hook_step, init = kind.profile_hook_step, kind.__init__

    def profile_hook_step(step):
        @functools.wraps(step)
        def innermost(self, *args, **kwargs):
            if not moments.on() or torch.compiler.is_compiling():
                return step(self, *args, **kwargs)
            return moments.update(step, self, args, kwargs)

        return hook_step(innermost)

    @functools.wraps(init)
    def __init__(self, *args, **kwargs):
        init(self, *args, **kwargs)
        moments.guarded(moments.register, self)

    kind.profile_hook_step = staticmethod(profile_hook_step)
    kind.__init__ = __init__


def _before(function, note):
    """`function`, with `note(args, kwargs)` called before it, but not while torch.compile traces."""

    @functools.wraps(function)
    def noted(*args, **kwargs):
        if not torch.compiler.is_compiling():
            note(args, kwargs)
        return function(*args, **kwargs)

    return noted


def _wrap_backward(moments):
    def note(args, kwargs):
        moments.guarded(moments.backward, args[0] if args else kwargs.get("tensors"))

    torch.autograd.backward = _before(torch.autograd.backward, note)


def _wrap_losses(moments):
    functional = torch.nn.functional
    names = {name for name in dir(functional) if name.endswith("_loss")}
    names |= {"cross_entropy", "kl_div", "binary_cross_entropy", "binary_cross_entropy_with_logits"}

    def note(args, kwargs):
        if torch.is_grad_enabled():
            moments.guarded(moments.targets, args, kwargs)

    for name in sorted(names):
        setattr(functional, name, _before(getattr(functional, name), note))


def _wrap_scaler(moments):
    kind = torch.amp.GradScaler
    original = kind._maybe_opt_step

    @functools.wraps(original)
    def _maybe_opt_step(self, optimizer, optimizer_state, *args, **kwargs):
        before = moments.steps()
        result = original(self, optimizer, optimizer_state, *args, **kwargs)
        if moments.on() and moments.steps() == before:
            moments.skipped(optimizer)
        return result

    kind._maybe_opt_step = _maybe_opt_step


def _wrap_clipping(moments):
    from torch.nn.utils import clip_grad

    for name, numbers in (("clip_grad_norm_", ("max_norm", "norm_type")), ("clip_grad_value_", ("clip_value",))):
        wrapped = _before(getattr(clip_grad, name), _numbers_noted(moments, name.rstrip("_"), numbers))
        for place in (clip_grad, torch.nn.utils):
            setattr(place, name, wrapped)


def _numbers_noted(moments, name, numbers):
    def note(args, kwargs):
        given = dict(zip(numbers, args[1:])) | {key: kwargs[key] for key in numbers if key in kwargs}
        for key, value in given.items():
            moments.guarded(moments.hyper, f"{name}.{key}", value)

    return note


def _wrap_loaders(moments):
    from torch.utils.data import dataloader

    from samestep._tensors import tensors_in

    kind = dataloader._BaseDataLoaderIter
    original = kind.__next__

    @functools.wraps(original)
    def __next__(self):
        data = original(self)
        if moments.on():
            moments.yielded = tensors_in(data)
        return data

    kind.__next__ = __next__


def _say_goodbye(moments):
    previous = sys.excepthook
    raised = []

    def excepthook(*about):
        raised.append(True)
        previous(*about)

    sys.excepthook = excepthook
    atexit.register(lambda: moments.bye(bool(raised)))

"""What is put in place in torch, once, right after the program's own import of it.

It costs a step a few function calls, changes no value that the program sees, and steps aside while torch.compile
traces.
"""
import atexit
import functools
import os
import sys
import types
import weakref
from multiprocessing import util

import torch

from samestep import _attached, _kept, _reachable, _trainers
from samestep._moments import Moments


moments = None  # of this process, once installed
_reports = None  # what stands in sys.excepthook


def install(after_import):
    """`after_import(name, then)`: calls `then` when the module has been imported, now if it is there."""
    global moments
    moments = Moments()
    moments.warnings.install()
    _pin_determinism(after_import)
    _wrap_optimizers(moments)
    _wrap_backward(moments)
    _wrap_losses(moments)
    _wrap_scaler(moments)
    _keep_states(moments)
    _wrap_clipping(moments)
    _wrap_loaders(moments)
    _wrap_reads(moments)
    recognise_trainers()
    _wrap_compile(moments)
    moments.roots.watch()
    _say_goodbye(moments)


def recognise_trainers():
    """Those that are imported."""
    _trainers.recognise(moments)


def _pin_determinism(after_import):
    """As torch.use_deterministic_algorithms(True, warn_only=True), which would import the compiler: 1.8 s for a program
    that may never need it."""
    torch.set_deterministic_debug_mode("warn")

    def pin_compiler():
        sys.modules["torch._inductor.config"].deterministic = True

    after_import("torch._inductor.config", pin_compiler)


def _wrap_optimizers(moments):
    kind = torch.optim.Optimizer
    hook_step, init = kind.profile_hook_step, kind.__init__

    def profile_hook_step(step):
        hooked = hook_step(_innermost(moments, step))
        hooked.samestep_plain = hook_step(step)
        return hooked

    @functools.wraps(init)
    def __init__(self, *args, **kwargs):
        init(self, *args, **kwargs)
        moments.guarded(moments.register, self)

    kind.profile_hook_step = staticmethod(profile_hook_step)
    kind.__init__ = __init__
    _wrap_made(moments)


def _wrap_made(moments):
    """Classes whose step torch has wrapped already: an optimizer of theirs was made before the hooks were here."""
    waiting = [torch.optim.Optimizer]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        step = kind.__dict__.get("step")
        if getattr(step, "hooked", False) and not hasattr(step, "samestep_plain"):
            kind.step = _innermost(moments, step)
            kind.step.hooked, kind.step.samestep_plain = True, step


def take_up_made(moments):
    """Makes known what was made while nothing was recorded, in an order that a replay finds again."""
    _kept.begin_again()
    schedulers = torch.optim.lr_scheduler
    for optimizer in _reachable.in_order(torch.optim.Optimizer):
        moments.guarded(moments.register, optimizer)
    for one in _reachable.in_order((schedulers.LRScheduler, schedulers.ReduceLROnPlateau, torch.amp.GradScaler)):
        moments.guarded(_kept.add_automatic, one)
    moments.guarded(_attached.tell_all, moments)


def wrap_own_steps(moments):
    """For hooks that come late: a schedule puts a step of its own on its optimizer, around the class's as it was."""
    for optimizer in _reachable.in_order(torch.optim.Optimizer):
        if "step" in vars(optimizer):
            optimizer.step = _around_own(moments, weakref.ref(optimizer), optimizer.step)


def _around_own(moments, optimizer, own):
    around = _innermost(moments, lambda _, *args, **kwargs: own(*args, **kwargs))
    return functools.wraps(own)(lambda *args, **kwargs: around(optimizer(), *args, **kwargs))


def _innermost(moments, step):
    """`step`, a function of the optimizer, with P and O around it."""

    @functools.wraps(step)
    def innermost(self, *args, **kwargs):
        if torch.compiler.is_compiling():
            return step(self, *args, **kwargs)
        if not moments.on():
            moments.trains_elsewhere()
            return step(self, *args, **kwargs)
        return moments.updates.make(step, self, args, kwargs)

    return innermost


def _wrap_compile(moments):
    """A compiled `optimizer.step` runs no Python: the moments stand around the call of it, and what is compiled is the
    step as it would be without them, lest it break into more graphs."""
    original = torch.compile

    @functools.wraps(original)
    def compile(model=None, **options):
        moments.guarded(moments.compiles)
        plain = getattr(getattr(model, "__func__", None), "samestep_plain", None)
        if plain is None:
            return original(model, **options)
        optimizer = model.__self__
        compiled = original(types.MethodType(plain, optimizer), **options)
        around = _innermost(moments, lambda _, *args, **kwargs: compiled(*args, **kwargs))
        return functools.wraps(compiled)(lambda *args, **kwargs: around(optimizer, *args, **kwargs))

    torch.compile = compile


def _before(function, note):
    """`function`, with `note(args, kwargs)` called before it, but not while torch.compile traces."""

    def noted(*args, **kwargs):
        if not torch.compiler.is_compiling():
            note(args, kwargs)
        return function(*args, **kwargs)

    # torch.jit.script reads the source of what is wrapped, and looks its names up where they belong.
    names = getattr(function, "__globals__", {})
    if names.get("torch") is torch:
        noted = types.FunctionType(noted.__code__, names, function.__name__, None, noted.__closure__)
    return functools.wraps(function)(noted)


def _wrap_backward(moments):
    torch.autograd.backward = _around(torch.autograd.backward, "tensors", moments, moments.backward)
    torch.autograd.grad = _around(torch.autograd.grad, "outputs", moments, moments.backward)


def _around(function, name, moments, begins):
    """`function`, with `begins` called with its first argument before it, and ByHand told when it has ended."""

    @functools.wraps(function)
    def noted(*args, **kwargs):
        if torch.compiler.is_compiling():
            return function(*args, **kwargs)
        moments.guarded(begins, args[0] if args else kwargs.get(name))
        result = function(*args, **kwargs)
        moments.guarded(moments.by_hand.backward_ended)
        return result

    return noted


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
    original, step = kind._maybe_opt_step, kind.step

    @functools.wraps(step)
    def noted_step(self, optimizer, *args, **kwargs):
        if moments.on() and self.is_enabled():
            # Read as the program reads: a replay that leaves out computing is given what was read then.
            moments.guarded(moments.hyper, "scaler.scale", self.get_scale())
        return step(self, optimizer, *args, **kwargs)

    @functools.wraps(original)
    def _maybe_opt_step(self, optimizer, optimizer_state, *args, **kwargs):
        before = moments.steps()
        result = original(self, optimizer, optimizer_state, *args, **kwargs)
        if moments.on() and moments.steps() == before:
            moments.updates.skip(optimizer)
        return result

    kind._maybe_opt_step, kind.step = _maybe_opt_step, noted_step


def _keep_states(moments):
    """Schedulers and scalers hold what a restart must restore."""
    schedulers = torch.optim.lr_scheduler
    # The last three are schedulers that do not call the first one's __init__.
    for kind in (schedulers.LRScheduler, torch.amp.GradScaler, schedulers.ReduceLROnPlateau, schedulers.SequentialLR,
                 schedulers.ChainedScheduler):
        kind.__init__ = _after_init(kind.__init__, moments)


def _after_init(init, moments):
    @functools.wraps(init)
    def __init__(self, *args, **kwargs):
        init(self, *args, **kwargs)
        moments.guarded(_kept.add_automatic, self)

    return __init__


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
            moments.guarded(lambda: moments.loader_gave(self, tensors_in(data)))
        return data

    kind.__next__ = __next__


def _wrap_reads(moments):
    """tolist() and numpy() take a tensor's memory without asking an operator."""
    from torch import _tensor_str

    def note(args, kwargs):
        if moments.native is not None and moments.on():
            moments.guarded_read(args[0])

    for name in ("tolist", "numpy"):
        setattr(torch.Tensor, name, _before(getattr(torch.Tensor, name), note))
    _tensor_str._str = _unread(moments, _tensor_str._str)


def _unread(moments, function):
    """Printing reads as many elements as their values make it: no decision of the program's."""

    @functools.wraps(function)
    def unread(*args, **kwargs):
        native = moments.native if moments.on() else None
        if native is None:
            return function(*args, **kwargs)
        native.pause_reads()
        try:
            return function(*args, **kwargs)
        finally:
            native.resume_reads()

    return unread


def _say_goodbye(moments):
    global _reports
    previous = sys.excepthook

    def excepthook(*about):
        excepthook.called = True
        previous(*about)

    excepthook.called = False
    _reports = sys.excepthook = excepthook
    atexit.register(lambda: moments.bye(program_raised()))
    os.register_at_fork(after_in_child=moments.forked)
    # A child that multiprocessing forked ends without the interpreter's own end.
    util.register_after_fork(moments, lambda _: util.Finalize(None, _end_of_child, exitpriority=0))


def _end_of_child():
    error = sys.exc_info()[0]
    moments.bye(error is not None and not issubclass(error, SystemExit))


def program_raised():
    """Whether an exception ends the program. Where its own sys.excepthook took the place of ours, the interpreter's
    note of what it reported says so; at a prompt or in a notebook that is about a line, and not about the program."""
    if _reports.called or sys.excepthook is _reports:
        return _reports.called
    return hasattr(sys, "last_type") and not _attached.at_a_prompt()

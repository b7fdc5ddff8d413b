"""The moments of a training step, found without an edit of the program.

F: the outermost training-mode call of a module that owns a parameter of an optimizer.
P: the innermost entry of an optimizer's step, behind every hook; with a closure, when its first pass returns.
O: the innermost return of it.

install() runs once, right after the program's own import of torch. What it leaves in place costs a step a few function
calls, changes no value that the program sees, and is skipped while torch.compile traces. Trouble in here is said once;
the training goes on unrecorded.
"""
import atexit
import functools
import os
import sys
import threading
import weakref

import torch

from samestep import _entropy, _native, _optimizers
from samestep._tensors import plain, tensors_in

_RECORDING, _REPLAYING, _OFF = "record", "replay", "off"


class _Update:
    """One entry of an optimizer's step: closures and nested optimizers make several of one update."""

    def __init__(self, optimizer):
        self.optimizer, self.gradients_read, self.inner = optimizer, False, False


class Moments:
    """The recording of this process. Everything runs in the thread that trains."""

    def __init__(self):
        self.native = None  # torch.classes.samestep.Recording, once there was a training event
        self.mode = None
        self.pid = os.getpid()
        self.optimizers = []  # weak references, in the order of registration; a place is a number in the log
        self.handed_groups = {}  # by number: the ids of the parameters that were handed over
        self.roots = []  # weak references to the modules whose outermost call is F
        self.unrooted = False  # an optimizer has parameters of no root
        self.stale = True  # the table of weights must be handed over again
        self.depth = 0  # of calls of roots
        self.updates = []  # stack of _Update
        self.yielded = None  # what a loader gave last, and no forward pass has claimed

    # --- whether there is anything to do

    def on(self):
        return self.mode is not _OFF and os.getpid() == self.pid

    def off(self, why):
        self.mode = _OFF
        sys.stderr.write(f"samestep: {why}; the training goes on unrecorded\n")

    def guarded(self, call, *args):
        if not self.on():
            return
        try:
            with torch.no_grad():
                call(*args)
        except Exception as error:  # noqa: BLE001 - whatever it is, the program goes on
            self.off(f"{type(error).__name__}: {error}")

    # --- optimizers and the table of weights

    def register(self, optimizer):
        if any(known() is optimizer for known in self.optimizers):
            return
        self.optimizers.append(weakref.ref(optimizer))
        self.unrooted = True
        watch_calls(self)
        if self.native is not None:
            self.add(optimizer)

    def number_of(self, optimizer):
        for number, known in enumerate(self.optimizers):
            if known() is optimizer:
                return number
        self.register(optimizer)
        return len(self.optimizers) - 1

    def add(self, optimizer):
        self.native.add_optimizer(type(optimizer).__name__)

    def hand_groups(self, number, optimizer):
        identities = [[id(parameter) for parameter in group["params"]] for group in optimizer.param_groups]
        if self.handed_groups.get(number) == identities:
            return
        self.native.hand_groups(number, [[plain(p) for p in group["params"]] for group in optimizer.param_groups])
        self.handed_groups[number] = identities

    def hand_all_groups(self):
        for number, known in enumerate(self.optimizers):
            optimizer = known()
            if optimizer is not None:
                self.hand_groups(number, optimizer)

    def hand_weights(self):
        if not self.stale:
            return
        self.stale = False
        names, parameters, buffer_names, buffers = [], [], [], []
        for prefix, module in named_roots(self.roots):
            for name, parameter in module.named_parameters(remove_duplicate=False):
                names.append(prefix + normal(name))
                parameters.append(plain(parameter))
            for name, buffer in module.named_buffers(remove_duplicate=False):
                buffer_names.append(prefix + normal(name))
                buffers.append(plain(buffer))
        self.native.hand_weights(names, parameters, buffer_names, buffers)

    def open(self):
        """Says hello, at the first training event."""
        if self.native is not None:
            return
        self.native = _native.new_recording()
        for known in self.optimizers:
            self.add(known() or torch.optim.Optimizer)
        self.hand_all_groups()
        self.hand_weights()
        self.hand_generators()
        self.mode = self.native.open()

    def hand_generators(self):
        names, states = [], []
        for name, module, read in (("python", "random", _entropy.python_generator), ("numpy", "numpy", _entropy.numpy_generator)):
            state = read() if module in sys.modules else None
            if state is not None and state != _entropy.given_states.get(name):
                names.append(name)
                states.append(_bytes(state))
        self.native.hand_generators(names, states)

    # --- F

    def forward(self, module, args, kwargs):
        """Before the outermost training call of a root."""
        self.open()
        self.hand_all_groups()
        self.hand_weights()
        self.hand_generators()
        batch, self.yielded = self.yielded or [], None
        seen = {id(tensor) for tensor in batch}
        batch = batch + [tensor for tensor in tensors_in([args, kwargs]) if id(tensor) not in seen]
        self.native.forward_([plain(tensor) for tensor in batch if not tensor.requires_grad])

    def is_root(self, module):
        return any(known() is module for known in self.roots)

    def found_root(self, module):
        """True where the module is, or now becomes, one whose outermost call is F."""
        if self.is_root(module):
            return True
        owned = {id(p) for known in self.optimizers if known() for g in known().param_groups for p in g["params"]}
        if not any(id(parameter) in owned for parameter in module.parameters()):
            return False
        self.roots.append(weakref.ref(module))
        self.stale = True
        wrap_calls_of(type(module))
        rooted = {id(p) for known in self.roots if known() for p in known().parameters()}
        self.unrooted = not owned <= rooted
        watch_calls(self)
        return True

    def called(self, call, module, args, kwargs):
        """The outermost call of a root (or of what may be one)."""
        training = self.depth == 0 and module.training and torch.is_grad_enabled()
        if training and self.on() and self.found_root(module):
            self.guarded(self.forward, module, args, kwargs)
        self.depth += 1
        try:
            return call(module, *args, **kwargs)
        finally:
            self.depth -= 1

    # --- loss

    def backward(self, tensors):
        if self.native is None:
            return
        for tensor in tensors_in([tensors]):
            self.native.loss(plain(tensor))

    def targets(self, args, kwargs):
        """What a loss function was given besides the model's answer."""
        if self.native is None or self.depth > 0 or not torch.is_grad_enabled():
            return
        given = [plain(tensor) for tensor in tensors_in([args, kwargs]) if not tensor.requires_grad]
        if given:
            self.native.forward_(given)

    # --- P and O

    def before_update(self, update, inside_closure):
        self.open()
        number = self.number_of(update.optimizer)
        self.hand_groups(number, update.optimizer)
        self.hand_weights()
        self.native.hand_options(number, *_optimizers.options_of(update.optimizer))
        self.native.before_update(number, inside_closure)
        update.gradients_read = True

    def after_update(self, update, skipped):
        number = self.number_of(update.optimizer)
        if self.native.state_wanted():
            for other, known in enumerate(self.optimizers):
                if known() is not None:
                    self.native.hand_state(other, *_optimizers.state_of(known()))
        self.hand_generators()
        self.native.after_update(number, skipped)
        if self.mode == _REPLAYING and (self.native.stopped() or not self.native.live()):
            self.stop()

    def update(self, step, optimizer, args, kwargs):
        """optimizer.step, behind every hook."""
        entry = _Update(optimizer)
        if self.updates:
            self.updates[-1].inner = True
        self.updates.append(entry)
        try:
            args, kwargs = self.with_closure(entry, args, kwargs)
            if not _closure_of(args, kwargs):
                self.guarded(self.before_update, entry, False)
            result = step(optimizer, *args, **kwargs)
        finally:
            self.updates.pop()
        if not entry.inner and entry.gradients_read:
            self.guarded(self.after_update, entry, False)
        return result

    def with_closure(self, entry, args, kwargs):
        closure = _closure_of(args, kwargs)
        if closure is None:
            return args, kwargs

        @functools.wraps(closure)
        def first_pass_is_p(*inner_args, **inner_kwargs):
            value = closure(*inner_args, **inner_kwargs)
            if not entry.gradients_read:
                self.guarded(self.before_update, entry, True)
            return value

        if args:
            return (first_pass_is_p, *args[1:]), kwargs
        return args, {**kwargs, "closure": first_pass_is_p}

    def skipped(self, optimizer):
        """A gradient scaler met infinities and left the update out."""
        entry = _Update(optimizer)
        self.guarded(self.before_update, entry, False)
        self.guarded(self.after_update, entry, True)

    # --- the end

    def stop(self):
        """A replay has what it asked for: the rest of the program would only cost time."""
        self.bye(False)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    def bye(self, by_exception):
        if self.native is not None and os.getpid() == self.pid:
            self.native.bye(by_exception)
        self.mode = _OFF


def _closure_of(args, kwargs):
    closure = args[0] if args else kwargs.get("closure")
    return closure if callable(closure) else None


def _bytes(state):
    return torch.frombuffer(bytearray(state), dtype=torch.uint8)


def normal(name):
    """A parameter's name without what wrappers put before it."""
    return ".".join(part for part in name.split(".") if part not in ("_orig_mod", "module"))


def named_roots(references):
    """(prefix, module): none for a single root, else the class's name, numbered where two share it."""
    modules = [module for module in (known() for known in references) if module is not None]
    if len(modules) < 2:
        return [("", module) for module in modules]
    names = [type(module).__name__ for module in modules]
    return [
        (f"{name}.{names[:i].count(name)}." if names.count(name) > 1 else f"{name}.", module)
        for i, (name, module) in enumerate(zip(names, modules))
    ]


# --- what is put in place in torch ----------------------------------------------------------------------------------

_moments = None
_plain_call = torch.nn.Module.__call__


def _watching_call(self, *args, **kwargs):
    moments = _moments
    if moments.depth or torch.compiler.is_compiling() or threading.current_thread() is not threading.main_thread():
        return _plain_call(self, *args, **kwargs)
    return moments.called(_plain_call, self, args, kwargs)


def watch_calls(moments):
    """Looks at every module's call for as long as an optimizer has parameters of no known root, and no longer: a wrapped
    Module.__call__ would keep torch.compile from tracing whole models."""
    torch.nn.Module.__call__ = _watching_call if moments.unrooted else _plain_call


def wrap_calls_of(kind):
    """Wraps the calls of one class: that of a root."""
    own = kind.__dict__.get("__call__")
    if getattr(own, "samestep", False):
        return
    inherited = kind.__call__ if kind.__call__ is not _watching_call else _plain_call

    @functools.wraps(inherited)
    def call(self, *args, **kwargs):
        moments = _moments
        if torch.compiler.is_compiling() or moments.depth or not moments.on() or not moments.is_root(self):
            return inherited(self, *args, **kwargs)
        return moments.called(inherited, self, args, kwargs)

    call.samestep = True
    kind.__call__ = call


def _wrap_optimizers(moments):
    kind = torch.optim.Optimizer
    hook_step, init = kind.profile_hook_step, kind.__init__

    def profile_hook_step(step):
        @functools.wraps(step)
        def innermost(self, *args, **kwargs):
            if not moments.on():
                return step(self, *args, **kwargs)
            return moments.update(step, self, args, kwargs)

        return hook_step(innermost)

    @functools.wraps(init)
    def __init__(self, *args, **kwargs):
        init(self, *args, **kwargs)
        moments.guarded(moments.register, self)

    kind.profile_hook_step = staticmethod(profile_hook_step)
    kind.__init__ = __init__


def _wrap_backward(moments):
    backward = torch.autograd.backward

    @functools.wraps(backward)
    def recorded(tensors, *args, **kwargs):
        moments.guarded(moments.backward, tensors)
        return backward(tensors, *args, **kwargs)

    torch.autograd.backward = recorded


def _wrap_losses(moments):
    functional = torch.nn.functional
    names = [name for name in dir(functional) if name.endswith("_loss") or name in ("cross_entropy", "kl_div")]
    names += ["binary_cross_entropy", "binary_cross_entropy_with_logits"]
    for name in names:
        setattr(functional, name, _recording_targets(moments, getattr(functional, name)))


def _recording_targets(moments, function):
    @functools.wraps(function)
    def recorded(*args, **kwargs):
        if not torch.compiler.is_compiling():
            moments.guarded(moments.targets, args, kwargs)
        return function(*args, **kwargs)

    return recorded


def _wrap_scaler(moments):
    kind = torch.amp.GradScaler
    original = kind._maybe_opt_step

    @functools.wraps(original)
    def _maybe_opt_step(self, optimizer, optimizer_state, *args, **kwargs):
        before = moments.native.steps() if moments.native is not None else 0
        result = original(self, optimizer, optimizer_state, *args, **kwargs)
        if moments.native is not None and moments.on() and moments.native.steps() == before:
            moments.skipped(optimizer)
        return result

    kind._maybe_opt_step = _maybe_opt_step


def _wrap_clipping(moments):
    from torch.nn.utils import clip_grad

    for name, numbers in (("clip_grad_norm_", ("max_norm", "norm_type")), ("clip_grad_value_", ("clip_value",))):
        wrapped = _recording_arguments(moments, getattr(clip_grad, name), name.rstrip("_"), numbers)
        for place in (clip_grad, torch.nn.utils):
            setattr(place, name, wrapped)


def _recording_arguments(moments, function, name, numbers):
    def note(args, kwargs):
        given = dict(zip(numbers, args[1:])) | {key: kwargs[key] for key in numbers if key in kwargs}
        for key, value in given.items():
            if moments.native is not None:
                moments.native.hyper(f"{name}.{key}", float(value))

    @functools.wraps(function)
    def recorded(*args, **kwargs):
        moments.guarded(note, args, kwargs)
        return function(*args, **kwargs)

    return recorded


def _wrap_loaders(moments):
    from torch.utils.data import dataloader

    kind = dataloader._BaseDataLoaderIter
    original = kind.__next__

    @functools.wraps(original)
    def __next__(self):
        data = original(self)
        if moments.on():
            moments.yielded = tensors_in(data)
        return data

    kind.__next__ = __next__


def _watch_registrations(moments):
    """A parameter, buffer or module that is put in its place makes the table of weights stale."""
    from torch.nn.modules import module

    def stale(*_):
        moments.stale = True

    module.register_module_parameter_registration_hook(stale)
    module.register_module_buffer_registration_hook(stale)
    module.register_module_module_registration_hook(stale)


def _say_goodbye(moments):
    previous = sys.excepthook
    raised = []

    def excepthook(*about):
        raised.append(True)
        previous(*about)

    sys.excepthook = excepthook
    atexit.register(lambda: moments.bye(bool(raised)))


def install():
    """Puts everything in place. Called once, when torch has just been imported under a recorder."""
    global _moments
    moments = _moments = Moments()
    torch.use_deterministic_algorithms(True, warn_only=True)
    _wrap_optimizers(moments)
    _wrap_backward(moments)
    _wrap_losses(moments)
    _wrap_scaler(moments)
    _wrap_clipping(moments)
    _wrap_loaders(moments)
    _watch_registrations(moments)
    _say_goodbye(moments)

"""One process's recording: what happens at the moments of a training step.

F: the outermost training-mode call of a module that owns a parameter of an optimizer (_roots.py).
P: the innermost entry of an optimizer's step, behind every hook; with a closure, when its first pass returns.
O: the innermost return of it.

_hooks.py calls these methods from inside torch. Trouble in here is said once; the training goes on unrecorded.
"""
import functools
import os
import sys
import weakref

import torch

from samestep import _entropy, _kept, _native, _optimizers, _provenance, _reachable
from samestep._by_hand import ByHand, HandWritten
from samestep._roots import Roots
from samestep._tensors import plain, tensors_in
from samestep._warnings import DeterminismWarnings

_REPLAYING, _OFF = "replay", "off"


class _Update:
    """One entry of an optimizer's step: closures and nested optimizers make several of one update."""

    def __init__(self, optimizer):
        self.optimizer, self.gradients_read, self.inner = optimizer, False, False


class Moments:
    """Everything runs in the thread that trains."""

    def __init__(self):
        self.roots = None
        self.launched = bool(_entropy.SOCKET)  # by samestep, not the other way round
        self.warnings = DeterminismWarnings()
        self.begin_again()

    def begin_again(self):
        """For a recorder that nothing was told yet. Optimizers and roots that are alive stay known."""
        living = [known for known in getattr(self, "optimizers", []) if known() is not None]
        self.native = None  # torch.classes.samestep.Recording, once there was a training event
        self.mode = None
        self.pid = os.getpid()
        self.optimizers = living  # weak references, in the order of registration; a place is a number in the log
        self.handed_groups = {}  # by number: the ids of the parameters that were handed over
        self.by_hand = ByHand(self)
        if self.roots is None:
            self.roots = Roots(
                self.owned,
                lambda *call: self.guarded(self.forward, *call),
                lambda *call: self.guarded(self.by_hand.called, *call),
            )
        self.roots.begin_again()
        self.updates = []  # stack of _Update
        self.compiled = False  # torch.compile was called
        self.yielded = None  # what a loader gave last, and no forward pass has claimed
        self.loop = None  # over samestep.steps(): a replay may enter it in the middle
        self.step = None  # the samestep.step() that is going on

    # --- whether there is anything to do

    def on(self):
        return self.mode is not _OFF and os.getpid() == self.pid

    def turn_off(self):
        self.mode = _OFF
        self.roots.stopped = True

    def guarded(self, call, *args):
        if not self.on():
            return
        if self.native is not None:
            self.native.pause_reads()
        try:
            with torch.no_grad():
                call(*args)
        except Exception as error:  # noqa: BLE001 - whatever it is, the program goes on
            self.turn_off()
            sys.stderr.write(f"samestep: {type(error).__name__}: {error}; the training goes on unrecorded\n")
        finally:
            if self.native is not None:
                self.native.resume_reads()

    # --- optimizers and the table of weights

    def living(self):
        return [(number, known()) for number, known in enumerate(self.optimizers) if known() is not None]

    def owned(self):
        if self.by_hand.active():
            return self.by_hand.owned()
        return {
            id(parameter)
            for _, optimizer in self.living()
            if not isinstance(optimizer, HandWritten)
            for group in optimizer.param_groups
            for parameter in group["params"]
        }

    def register(self, optimizer):
        if any(known is optimizer for _, known in self.living()):
            return
        self.by_hand.optimizer_made(optimizer)
        self.optimizers.append(weakref.ref(optimizer))
        if self.native is not None:
            self.native.add_optimizer(_class_name(optimizer))
        self.roots.optimizers_changed()

    def number_of(self, optimizer):
        self.register(optimizer)
        return next(number for number, known in self.living() if known is optimizer)

    def hand_groups(self, number, optimizer):
        identities = [[id(parameter) for parameter in group["params"]] for group in optimizer.param_groups]
        if self.handed_groups.get(number) == identities:
            return
        self.native.hand_groups(number, [[plain(p) for p in group["params"]] for group in optimizer.param_groups])
        self.handed_groups[number] = identities

    def hand_weights(self):
        if not self.roots.stale:
            return
        self.roots.stale = False
        names, parameters, buffer_names, buffers = [], [], [], []
        for prefix, module in self.roots.named():
            for name, parameter in module.named_parameters(remove_duplicate=False):
                names.append(prefix + normal(name))
                parameters.append(plain(parameter))
            for name, buffer in module.named_buffers(remove_duplicate=False):
                buffer_names.append(prefix + normal(name))
                buffers.append(plain(buffer))
        self.native.hand_weights(names, parameters, buffer_names, buffers)

    def hand_options(self):
        for number, optimizer in self.living():
            self.native.hand_options(number, *_optimizers.options_of(optimizer))

    def hand_states(self):
        for number, optimizer in self.living():
            self.native.hand_state(number, *_optimizers.state_of(optimizer))

    def hand_kept(self):
        names, values = _kept.handed()
        self.native.hand_kept(names, values)

    def hand_generators(self):
        names, states = [], []
        for name, module, read in _entropy.SHARED_GENERATORS:
            state = read() if module in sys.modules else None
            if state is not None and state != _entropy.given_states.get(name):
                names.append(name)
                states.append(torch.frombuffer(bytearray(state), dtype=torch.uint8))
        self.native.hand_generators(names, states)

    def hand_tables(self):
        for number, optimizer in self.living():
            self.hand_groups(number, optimizer)
        self.hand_weights()
        self.hand_generators()

    def open(self):
        """Says hello, at the first training event."""
        if self.native is not None:
            return
        self.native = _native.new_recording()
        if self.loop is not None:
            self.native.loops()
        if self.compiled:
            self.native.compiled()
        for known in self.optimizers:
            self.native.add_optimizer(_class_name(known()))
        self.hand_tables()
        self.hand_options()
        self.hand_kept()
        self.mode = _native.say_hello(self.native)
        self.native.pause_reads()  # as guarded() would have, had there been a recording
        if self.mode == _OFF:
            self.turn_off()
            return
        _provenance.tell(self.native, "start")
        if self.native.jumped():
            self.enter_loop()

    def compiles(self):
        """A compiler's kernels go past the operators: they cannot be left out on the way to an anchor."""
        self.compiled = True
        if self.native is not None and self.native.fast_forwarding():
            self.native.refuse_forward("it compiles its model")
            self.stop()

    # --- F

    def forward(self, module, args, kwargs):
        """Before the outermost training call of a root."""
        if self.step is not None and self.step.batch_given:
            return
        if not self.by_hand.begins():
            return self.by_hand.given([args, kwargs])
        self.begin_step()
        batch = self.claim_yielded()
        seen = {id(tensor) for tensor in batch}
        batch = batch + [tensor for tensor in tensors_in([args, kwargs]) if id(tensor) not in seen]
        self.native.forward_([plain(tensor) for tensor in batch if not tensor.requires_grad])

    def begin_step(self):
        self.open()
        self.warnings.attend(self.native)
        self.hand_tables()

    def claim_yielded(self):
        """What a loader gave and no forward pass has claimed."""
        claimed, self.yielded = self.yielded or [], None
        return claimed

    def targets(self, args, kwargs):
        """What a loss function was given besides the model's answer."""
        if self.roots.depth > 0 or (self.step is not None and self.step.batch_given):
            return
        if not self.by_hand.begins():
            return self.by_hand.given([args, kwargs])
        self.forward_([tensor for tensor in tensors_in([args, kwargs]) if not tensor.requires_grad])

    def forward_(self, batch):
        """More of a step's batch; its F, where no forward pass of a root was it."""
        if batch and self.native is not None:
            self.native.forward_([plain(tensor) for tensor in batch])

    def backward(self, tensors):
        self.by_hand.backward_begins(tensors)
        if self.native is None:
            return
        for tensor in tensors_in([tensors]):
            self.loss(tensor)

    def loss(self, tensor):
        """A value that a backward pass starts from; in a samestep.step() the program may have named it itself."""
        if self.step is None or self.step.is_new_loss(tensor):
            self.native.loss(plain(tensor))

    def hyper(self, name, value):
        if self.native is not None:
            self.native.hyper(name, float(value))

    # --- P and O

    def before_update(self, update, inside_closure):
        self.open()
        number = self.number_of(update.optimizer)
        self.hand_tables()
        self.native.hand_options(number, *_optimizers.options_of(update.optimizer))
        if self.native.steps() == 0:
            self.hand_states()  # a resume is asked which step's state its optimizer has
        self.native.before_update(number, inside_closure)
        _optimizers.set_options(update.optimizer, *self.native.restored_options(number))  # those that a replay pins
        update.gradients_read = True

    def after_update(self, update, skipped):
        number = self.number_of(update.optimizer)
        self.hand_outcome(self.native.state_wanted(), self.native.anchor_wanted())
        self.native.after_update(number, skipped or _left_out(update.optimizer))
        if self.step is not None:
            self.step.updated = True
        if self.loop is None:
            self.end_iteration()
        if self.mode == _REPLAYING and (self.native.stopped() or not self.native.live()):
            self.stop()

    def hand_outcome(self, state, anchor):
        if state:
            self.hand_states()
            self.hand_kept()
        self.hand_generators()
        if anchor:
            found = _reachable.tensors(self.held())
            self.native.hand_reached(list(found), [plain(tensor) for tensor in found.values()])

    def end_iteration(self):
        """Where a restart goes on: at O, or at the end of an iteration of samestep.steps()."""
        if self.loop is not None and self.native.cutting():
            self.hand_options()
            self.hand_outcome(True, True)
        self.native.end_iteration()
        if self.native.arrived():
            self.restore()

    def held(self):
        """The tensors that an anchor holds anyway."""
        tensors = [tensor for module in self.roots.modules() for tensor in (*module.parameters(), *module.buffers())]
        for _, optimizer in self.living():
            for state in optimizer.state.values():
                tensors += tensors_in([state])
            tensors += tensors_in([group["params"] for group in optimizer.param_groups])
        return tensors

    def restore_optimizers(self):
        for number, optimizer in self.living():
            _optimizers.restore_state(optimizer, *self.native.restored_state(number))

    def enter_loop(self):
        """A jump: the anchor's weights and torch's generators are in; the program has not begun its loop."""
        self.restore_optimizers()
        for number, optimizer in self.living():
            _optimizers.set_options(optimizer, *self.native.restored_options(number))
        with torch.random.fork_rng():  # what a value is restored by may draw
            _kept.restore(*self.native.restored_kept(), jumped=True)
        self.yielded = None
        for name, state in zip(*self.native.restored_generators()):
            _entropy.set_generator(name, bytes(state.tolist()))

    def restore(self):
        """The program has come to the anchor without computing: its weights and generators are in; what only Python can
        reach follows."""
        self.restore_optimizers()
        for number, _ in self.living():
            self.native.restored_options(number)  # the program's schedules have set them
        self.native.restored_generators()  # and it has drawn
        _kept.restore(*self.native.restored_kept(), jumped=False)
        names, tensors = self.native.restored_reached()
        found = _reachable.tensors(self.held())
        _reachable.restore(found, dict(zip(names, tensors)))
        others = [(name, tensor) for name, tensor in _reachable.all_tensors().items() if name not in names]
        flags = self.native.unwritten([plain(tensor) for _, tensor in others])
        lost = [name for (name, _), unwritten in zip(others, flags) if unwritten]
        if lost:
            self.native.event("fast_forward", "not restored, because no anchor holds them: " + ", ".join(lost[:8]))

    def update(self, step, optimizer, args, kwargs):
        """optimizer.step, behind every hook."""
        entry = _Update(optimizer)
        if self.updates:
            self.updates[-1].inner = True
        self.updates.append(entry)
        try:
            args, kwargs = self.with_closure(entry, args, kwargs)
            if _closure_of(args, kwargs) is None:
                self.guarded(self.before_update, entry, False)
                result = self.make_step(step, optimizer, args, kwargs)
            else:
                result = step(optimizer, *args, **kwargs)
        finally:
            self.updates.pop()
        if not entry.inner and entry.gradients_read:
            self.guarded(self.after_update, entry, False)
        return result

    def make_step(self, step, optimizer, args, kwargs):
        """A step without a closure. What torch's own optimizers read out of their state decides nothing else, and on the
        way to an anchor they need not run at all."""
        own = getattr(getattr(type(optimizer), "step", None), "__module__", "")
        if self.native is None or not own.startswith("torch.optim"):
            return step(optimizer, *args, **kwargs)
        if self.native.fast_forwarding():
            return None
        self.native.pause_reads()
        try:
            return step(optimizer, *args, **kwargs)
        finally:
            self.native.resume_reads()

    def read(self, tensor):
        """A tensor whose elements the program takes out otherwise than by an operator."""
        if self.native is not None and self.on() and not torch.compiler.is_compiling():
            self.native.read(plain(tensor))

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

    def steps(self):
        return self.native.steps() if self.native is not None else 0

    def entry(self, optimizer):
        return _Update(optimizer)

    def skipped(self, optimizer):
        """A gradient scaler met infinities and left the update out."""
        entry = self.entry(optimizer)
        self.guarded(self.before_update, entry, False)
        self.guarded(self.after_update, entry, True)

    # --- the end

    def stop(self):
        """A replay has what it asked for: the rest of the program would only cost time."""
        self.bye(False)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    def last_words(self):
        self.warnings.attend(self.native)
        _provenance.tell(self.native, "end")

    def bye(self, by_exception):
        if not by_exception:
            self.guarded(self.by_hand.finish)
        if self.native is not None and os.getpid() == self.pid:
            self.guarded(self.last_words)
            self.native.bye(by_exception)
        self.turn_off()


def _closure_of(args, kwargs):
    closure = args[0] if args else kwargs.get("closure")
    return closure if callable(closure) else None


def _class_name(optimizer):
    return getattr(optimizer, "samestep_class_name", type(optimizer).__name__)


def _left_out(optimizer):
    """Whether a gradient scaler had told a fused optimizer, which looks itself, that it met infinities."""
    found = getattr(optimizer, "found_inf", None)
    return isinstance(found, torch.Tensor) and bool(found)


def normal(name):
    """A parameter's name without what wrappers put before it."""
    return ".".join(part for part in name.split(".") if part not in ("_orig_mod", "module"))

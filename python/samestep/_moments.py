"""One process's recording: what happens at the moments of a training step.

F: the outermost training-mode call of a module that owns a parameter of an optimizer (_roots.py).
P: the innermost entry of an optimizer's step, behind every hook; with a closure, when its first pass returns
(_updates.py).
O: the return of the outermost one around it (_updates.py).

_hooks.py calls these methods from inside torch. Trouble in here is said once; the training goes on unrecorded.
"""
import itertools
import os
import sys
import threading

import torch

from samestep import _entropy, _kept, _native, _optimizers, _provenance, _reachable, _text
from samestep._anchors import Anchors
from samestep._by_hand import ByHand
from samestep._optimizer_table import OptimizerTable, TooMany
from samestep._roots import Roots
from samestep._tensors import dense_parts, plain, tensors_in
from samestep._updates import Updates
from samestep._warnings import DeterminismWarnings

_REPLAYING, _OFF = "replay", "off"
_MOST_LOADERS = 8  # that one step reads from
_numbers = itertools.count()  # of loaders' iterators


class Unrecorded(Exception):
    """Nothing may be handed to the core any more: what it was handed went with the recording that did not come to be."""


class Moments:
    """Everything runs in the thread that trains."""

    def __init__(self):
        self.roots = None
        self.is_child = False  # forked, with torch in it
        self.launched = bool(_entropy.SOCKET)  # by samestep, not the other way round
        self.waits = _entropy.ATTACHED  # for so many calls of samestep.record(): the last of them began the recording
        self.lock = threading.RLock()  # threads that begin to train at once: the first one in here is recorded
        self.warnings = DeterminismWarnings()
        self.begin_again()

    def begin_again(self):
        """For a recorder that nothing was told yet."""
        self.native = None  # torch.classes.samestep.Recording, once there was a training event
        self.mode = None
        self.pid = os.getpid()
        self.optimizers = OptimizerTable()
        self.by_hand = ByHand(self)
        if self.roots is None:
            self.roots = Roots(
                self.owned,
                lambda *call: self.guarded(self.forward, *call),
                lambda *call: self.guarded(self.by_hand.called, *call),
                lambda *call: self.guarded(self.evaluated, *call),
                self.trains_here,
            )
        self.roots.begin_again()
        self.settlings = 0  # how often there were new optimizers
        self.updates = Updates(self)
        self.anchors = Anchors(self)
        self.thread = None  # that trains; others' batches come when they like
        self.threads_said = False
        self.compiled = False  # torch.compile was called
        self.yielded = {}  # by thread and number of a loader's iterator: what it gave last, and no forward pass has claimed
        self.evaluation = []  # what a root was called with in evaluation mode, gradients on: no backward pass has come yet
        self.trained = False  # a root was called in training mode since the last update
        self.evaluation_taken = False  # what self.evaluation held is part of the step's batch
        self.evaluating_said = False
        self.loop = None  # over samestep.steps(): a replay may enter it in the middle
        self.step = None  # the samestep.step() that is going on

    # --- whether there is anything to do

    def on(self):
        return self.mode is not _OFF and not self.waits and os.getpid() == self.pid and self.trains_here()

    def trains_here(self):
        """Whether this is the thread of the first training event, or there was none yet."""
        return self.thread in (None, threading.get_ident())

    def trains_elsewhere(self):
        """An optimizer steps unrecorded: said once, where another thread's are recorded."""
        if self.threads_said or self.trains_here() or self.mode is _OFF or os.getpid() != self.pid:
            return
        self.threads_said = True
        with self.lock:
            self.native.event("other_thread", "Several threads train: the updates of the first one are recorded, and no others.")

    def forked(self):
        """In a child. It is recorded as any other process, unless its parent was by then: what torch's libraries and
        the recorder know of that is not the child's."""
        self.lock = threading.RLock()  # the parent's may have been held by a thread that is not here
        if self.native is None and self.launched:
            self.pid, self.is_child = os.getpid(), True

    def turn_off(self):
        self.mode = _OFF
        self.roots.stopped = True
        self.roots.let_go()
        self.optimizers.let_go()

    def guarded(self, call, *args):
        if not self.on():  # before the lock: a forked child may find it held by a thread that it does not have
            return
        with self.lock:
            if self.on():
                self._run(call, args)

    def _run(self, call, args):
        if self.native is not None:
            self.native.pause_reads()
        try:
            with torch.no_grad():
                call(*args)
        except Unrecorded:
            pass
        except TooMany as error:
            self.give_up(str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the program goes on
            self.give_up(f"{type(error).__name__}: {error}")
        finally:
            if self.native is not None:
                self.native.resume_reads()

    def give_up(self, why):
        """The run ends here, as one that was lost: its log says why."""
        self.turn_off()
        if self.native is None or not self.native.give_up(_text.utf8(why)):
            sys.stderr.write(f"samestep: {why}; the training goes on unrecorded\n")

    # --- optimizers and the table of weights

    def owned(self):
        return self.by_hand.owned() if self.by_hand.active() else self.optimizers.owned()

    def register(self, optimizer):
        if self.optimizers.has(optimizer):
            return
        self.by_hand.optimizer_made(optimizer)
        try:
            self.optimizers.add(optimizer)
        except TooMany:
            self.open()  # so that there is a log that can say it
            raise
        self.roots.optimizers_changed()

    def number_of(self, optimizer):
        self.register(optimizer)
        return self.optimizers.number_of(optimizer)

    def rooted(self):
        return {id(parameter) for module in self.roots.modules() for parameter in module.parameters()}

    def hand_weights(self):
        if not self.roots.stale:
            return
        self.roots.stale = False
        names, parameters, buffer_names, buffers = [], [], [], []
        for prefix, listed in self.roots.tables(self.not_called_yet()):
            for name, parameter in listed.parameters:
                names.append(prefix + normal(name))
                parameters.append(plain(parameter))
            for name, buffer in listed.buffers:
                buffer_names.append(prefix + normal(name))
                buffers.append(plain(buffer))
        self.native.hand_weights(names, parameters, buffer_names, buffers)

    def not_called_yet(self):
        """Modules of optimizers that the program has made and not come to: a GAN's second, before its first step."""
        missing = set() if self.by_hand.active() else self.owned() - self.roots.identities()
        return _reachable.modules_of(missing) if missing else []

    def hand_generators(self):
        names, states = [], []
        for name, module, read in _entropy.SHARED_GENERATORS:
            state = read() if module in sys.modules else None
            if state is not None and state != _entropy.given_states.get(name):
                names.append(name)
                states.append(torch.frombuffer(bytearray(state), dtype=torch.uint8))
        self.native.hand_generators(names, states)

    def hand_tables(self):
        if self.optimizers.grows():
            self.settle()
        if released := self.optimizers.hand_groups(self.native, self.rooted):
            self.roots.drop(released)
            self.roots.stale = True
        self.hand_weights()
        self.hand_generators()

    def settle(self):
        """Optimizers were made: what is no more leaves the tables here and nowhere else, whenever it was collected. To
        know what is may need a collection: of many times all of the first are such, then every second, every fourth."""
        self.settlings += 1
        if self.settlings % max(1, 2 ** (self.settlings.bit_length() - 6)):
            return
        _reachable.collect_unless_reached({id(one) for one in (*self.optimizers.living(), *self.roots.modules())})
        self.optimizers.settle(self.native)
        self.roots.settle()

    def open(self):
        """Says hello, at the first training event. Raises Unrecorded where this process is not to be recorded: another
        one of its rank is, or it is a loader's worker."""
        if self.native is not None:
            return
        if torch.utils.data.get_worker_info() is not None:
            self.turn_off()
            raise Unrecorded
        self.native, self.thread = _native.new_recording(), threading.get_ident()
        if self.is_child:
            self.native.forked()
        if self.loop is not None:
            self.native.loops()
        if self.compiled:
            self.native.compiled()
        self.hand_tables()
        self.optimizers.hand_options(self.native)
        _kept.add_modules(_reachable.modules(self.anchors.held()))
        self.anchors.hand_kept()
        self.mode = _native.say_hello(self.native)
        self.native.pause_reads()  # as guarded() would have, had there been a recording
        if self.mode == _OFF:
            self.turn_off()
            raise Unrecorded
        _provenance.tell(self.native, "start")
        if self.native.jumped():
            self.anchors.enter_loop()

    def compiles(self):
        """A compiler's kernels go past the operators: they cannot be left out on the way to an anchor."""
        self.compiled = True
        if self.native is not None and self.native.fast_forwarding():
            self.native.refuse_forward("it compiles its model")
            self.stop()

    # --- F

    def forward(self, module, args, kwargs):
        """Before the outermost training call of a root."""
        self.updates.reach_o()
        if self.step is not None and self.step.batch_given:
            return
        if not self.by_hand.begins():
            return self.by_hand.given([args, kwargs])
        self.evaluation, self.evaluation_taken, self.trained = [], False, True
        self.begin_step()
        self.read_forward(self.batch_of(args, kwargs))

    def batch_of(self, args, kwargs):
        batch = self.claim_yielded()
        seen = {id(tensor) for tensor in batch}
        batch = batch + [tensor for tensor in tensors_in([args, kwargs]) if id(tensor) not in seen]
        return [tensor for tensor in batch if not tensor.requires_grad]

    def evaluated(self, args, kwargs, gradients):
        """Before a root's call in evaluation mode: no part of a step, unless a backward pass comes of it."""
        batch = self.batch_of(args, kwargs)
        self.yielded.clear()
        goes_on = any(tensor.requires_grad for tensor in tensors_in([args, kwargs]))  # from another part of the model
        before = self.evaluation if goes_on else []
        self.evaluation = before + batch if gradients and not self.trained else []

    def take_evaluation(self):
        batch, self.evaluation = self.evaluation, []
        self.evaluation_taken |= bool(batch)
        return batch

    def trains_evaluating(self):
        """A backward pass begins, and no root was called in training mode: the last call was the step's all the
        same."""
        if self.native is None or self.trained or self.by_hand.active():
            return
        batch = self.take_evaluation()
        if self.evaluation_taken and not self.evaluating_said:
            self.evaluating_said = True
            self.native.event("evaluation_mode", "A step's forward pass ran with the model in evaluation mode: no dropout, no "
                                                 "batch statistics. Usually a train() is missing after an eval().")
        self.more_of_batch(batch)

    def begin_step(self):
        self.open()
        self.warnings.attend(self.native)
        self.hand_tables()

    def claim_yielded(self):
        """What this thread took from loaders and no forward pass has claimed."""
        own = [key for key in self.yielded if key[0] == threading.get_ident()]
        return [tensor for key in own for tensor in self.yielded.pop(key)]

    def loader_gave(self, iterator, tensors):
        # Not by its identity: what memory the next one gets is a matter of chance.
        key = (threading.get_ident(), vars(iterator).setdefault("samestep_number", next(_numbers)))
        self.yielded.pop(key, None)
        while len(self.yielded) >= _MOST_LOADERS:
            del self.yielded[next(iter(self.yielded))]
        self.yielded[key] = tensors

    def targets(self, args, kwargs):
        """What a loss function was given besides the model's answer."""
        if self.roots.depth > 0 or (self.step is not None and self.step.batch_given):
            return
        if not self.by_hand.begins():
            return self.by_hand.given([args, kwargs])
        given = [tensor for tensor in tensors_in([args, kwargs]) if not tensor.requires_grad]
        self.more_of_batch(self.take_evaluation() + given)

    def more_of_batch(self, batch):
        """More of a step's batch; its F, where no forward pass of a root was it."""
        if batch and self.native is not None:
            self.read_forward(batch)

    def read_forward(self, batch):
        self.native.forward_([part for tensor in batch for part in dense_parts(tensor)])
        if self.native.rng_given():
            self.anchors.put_generators()

    def backward(self, tensors):
        self.updates.reach_o()
        self.by_hand.backward_begins(tensors)
        self.trains_evaluating()
        if self.native is None:
            return
        for tensor in tensors_in([tensors]):
            self.loss(tensor)

    def loss(self, tensor):
        """A value that a backward pass starts from; in a samestep.step() the program may have named it itself."""
        if self.step is None or self.step.is_new_loss(tensor):
            for part in dense_parts(tensor):
                self.native.loss(part)

    def hyper(self, name, value):
        if self.native is not None:
            self.native.hyper(_text.utf8(name), float(value))

    # --- P and O

    def before_update(self, update, inside_closure):
        self.open()
        number = self.number_of(update.optimizer)
        self.hand_tables()
        self.native.hand_options(number, *_optimizers.options_of(update.optimizer))
        if self.native.steps() == 0:
            self.optimizers.hand_states(self.native)  # a resume is asked which step's state its optimizer has
        self.native.before_update(number, inside_closure)
        _optimizers.set_options(update.optimizer, *self.native.restored_options(number))  # those that a replay pins
        update.gradients_read = True

    def after_update(self, update, skipped):
        number = self.number_of(update.optimizer)
        self.anchors.hand_outcome(update.optimizer, self.native.state_wanted(), self.native.anchor_wanted())
        self.native.after_update(number, skipped)
        self.evaluation, self.evaluation_taken, self.trained = [], False, False
        if self.step is not None:
            self.step.updated = True
        if self.loop is None:
            self.end_iteration(update.optimizer)
        if self.mode == _REPLAYING and (self.native.stopped() or not self.native.live()):
            self.stop()

    def end_iteration(self, stepped=None):
        """Where a restart goes on: at O, or at the end of an iteration of samestep.steps()."""
        if self.loop is not None and self.native.cutting():
            self.hand_tables()
            self.optimizers.hand_options(self.native)
            self.anchors.hand_outcome(None, True, True)
        self.native.end_iteration()
        if self.native.arrived():
            self.anchors.restore(stepped)

    def guarded_read(self, tensor):
        """A tensor whose elements the program takes out otherwise than by an operator; counted, so not in guarded()."""
        if torch.compiler.is_compiling() or tensor.is_nested:
            return
        try:
            self.native.read(plain(tensor))
        except Exception as error:  # noqa: BLE001 - the program's read must not fail for it
            self.give_up(f"{type(error).__name__}: {error}")

    def steps(self):
        return self.native.steps() if self.native is not None else 0

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
        self.thread = None  # wherever the program ends
        if not by_exception:
            self.guarded(self.by_hand.finish)
        if self.native is not None and os.getpid() == self.pid:
            self.guarded(self.last_words)
            self.native.bye(by_exception)
        self.turn_off()


def normal(name):
    """A parameter's name without what wrappers put before it."""
    return _text.utf8(".".join(part for part in name.split(".") if part not in ("_orig_mod", "module")))

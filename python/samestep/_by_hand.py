"""Programs that never use torch.optim: they write `p.data.add_(p.grad, alpha=-rate)`, on modules or on bare tensors.

A step begins at a forward pass, loss function or backward pass and ends where the next one begins, or at exit, if the bytes
of the parameters have changed since, and a backward pass came between. Gradients are read where a backward pass ends; the
last one before the update counts.

Whether a program is of this kind shows only when its first step is over and no optimizer was made. So what the first
backward pass met is kept, and once the parameters have changed it is put under the recording for a moment as it was. From
then on the steps are read as they happen. Every method runs under Moments.guarded.
"""
import random
import sys

import torch

from samestep._tensors import plain, tensors_in
from samestep._updates import Update

_MOST_NODES = 200_000  # of an autograd graph that is walked
_MOST_KEPT = 16  # tensors of the first step's batch


class HandWritten:
    """Stands in the log where an optimizer would: what options it has is the program's own secret."""

    def __init__(self, parameters):
        self.param_groups, self.state, self.defaults = [{"params": parameters}], {}, {}


class ByHand:
    def __init__(self, moments):
        self._moments = moments
        self._stand_in = None  # a HandWritten, once the recording has begun
        self._entry = None  # of the step that is going on
        self._parameters, self._before = [], []  # and copies of them as they were at F
        self._passed = False  # a backward pass has ended since
        self._met = []  # leaves that a backward pass reached for the first time: parameters from the next step on
        # Of the first step, until the recording has begun:
        self._batch, self._generators, self._losses, self._gradients = [], None, [], []

    def active(self):
        return len(self._moments.optimizers) == (self._stand_in is not None)

    def owned(self):
        return {id(parameter) for parameter in self._parameters}

    def called(self, module, args, kwargs):
        """The outermost training call of a module that is no root."""
        if self._stand_in is not None or self._parameters or not self.active():
            return
        if any(parameter.requires_grad for parameter in module.parameters()):
            self._generators = _Generators()
            self.given([self._moments.claim_yielded(), args, kwargs])

    def given(self, values):
        """`values` belong to the batch of the first step."""
        known = {id(tensor) for tensor in self._batch}
        new = [tensor for tensor in tensors_in(values) if not tensor.requires_grad and id(tensor) not in known]
        self._batch = (self._batch + new)[-_MOST_KEPT:]

    def begins(self):
        """A forward pass, loss function or backward pass is about to begin. Returns whether it is recorded."""
        if not self.active():
            return True
        if self._parameters and self._have_changed():
            if not self._passed:
                self._before = _copies(self._parameters)  # edited between two steps: the log shows it
            elif self._stand_in is not None:
                self._end_step()
            else:
                self._begin_recording()
        return self._stand_in is not None

    def _have_changed(self):
        native = self._moments.native
        if native is not None and native.fast_forwarding():
            return native.take_written([plain(parameter) for parameter in self._parameters])
        return not _equal_bytes(self._before, self._parameters)

    def backward_begins(self, tensors):
        if not self.active():
            return
        if self.begins():
            self._moments.more_of_batch(self._moments.claim_yielded())
            self._met += self._unknown(leaves_of(tensors))
        elif not self._parameters:
            self._meet(leaves_of(tensors))
        else:
            self._add(self._unknown(leaves_of(tensors)))
        if self._stand_in is None and self._parameters:
            self._losses += [plain(tensor).detach().clone() for tensor in tensors_in([tensors])]

    def backward_ended(self):
        if not self.active() or not self._parameters:
            return
        self._passed = True
        if self._stand_in is not None:
            self._moments.before_update(self._entry, False)
        else:
            self._gradients = [None if p.grad is None else p.grad.clone() for p in self._parameters]

    def finish(self):
        """At the program's end: the last step has no successor that ends it."""
        if self.active():
            self.begins()

    def optimizer_made(self, optimizer):
        """The program is of another kind, or ceases to be of this one."""
        if optimizer is self._stand_in:
            return
        if self._stand_in is not None:
            self.begins()
        self._parameters, self._before, self._batch, self._losses, self._gradients = [], [], [], [], []

    def _meet(self, parameters):
        self._parameters, self._before = parameters, _copies(parameters)
        if self._generators is None:
            self._generators = _Generators()
        self.given([self._moments.claim_yielded()])
        self._moments.roots.optimizers_changed()

    def _unknown(self, leaves):
        known = {id(leaf) for leaf in self._parameters + self._met}
        return [leaf for leaf in leaves if id(leaf) not in known]

    def _add(self, parameters):
        self._parameters, self._before = self._parameters + parameters, self._before + _copies(parameters)
        self._moments.roots.optimizers_changed()

    def _begin_recording(self):
        """The first step is over: reads it from what was kept, under the parameters and generators as they were."""
        parameters = self._parameters
        now, gradients, generators = _copies(parameters), [p.grad for p in parameters], _Generators()
        self._stand_in = HandWritten(self._in_module_order())
        self._moments.register(self._stand_in)
        self._entry = Update(self._stand_in)
        _put(parameters, self._before, self._gradients)
        self._generators.put()
        try:
            self._moments.open()
            self._moments.hand_tables()
            self._moments.more_of_batch(self._batch)
            for loss in self._losses:
                self._moments.native.loss(loss)
            self._moments.before_update(self._entry, False)
        finally:
            _put(parameters, now, gradients)
            generators.put()
        self._batch, self._losses, self._gradients = [], [], []
        self._end_step()

    def _end_step(self):
        self._before, self._passed = _copies(self._parameters), False
        self._moments.after_update(self._entry, False)
        if self._met:
            self._add(self._met)
            self._stand_in.param_groups[0]["params"] = self._stand_in.param_groups[0]["params"] + self._met
            self._met = []
        self._entry = Update(self._stand_in)

    def _in_module_order(self):
        mine, order = self.owned(), {}
        for module in self._moments.roots.modules():
            order.update((id(p), p) for p in module.parameters() if id(p) in mine)
        order.update((id(p), p) for p in self._parameters if id(p) not in order)
        return list(order.values())


def leaves_of(tensors):
    """The tensors whose gradients a backward pass from `tensors` accumulates, in the order of a walk over the graph."""
    nodes = [tensor.grad_fn for tensor in tensors_in([tensors]) if tensor.grad_fn is not None]
    leaves, met = {}, set()
    while nodes and len(met) < _MOST_NODES:
        node = nodes.pop()
        if node in met:
            continue
        met.add(node)
        if type(node).__name__ == "AccumulateGrad":
            leaves[id(node.variable)] = node.variable
        nodes += [following for following, _ in reversed(node.next_functions) if following is not None]
    return list(leaves.values())


def _copies(parameters):
    return [plain(parameter).detach().clone() for parameter in parameters]


def _put(parameters, values, gradients):
    for parameter, value, gradient in zip(parameters, values, gradients):
        parameter.data.copy_(value)
        parameter.grad = gradient


def _equal_bytes(copies, parameters):
    return all(torch.equal(_bytes(a), _bytes(plain(b).detach())) for a, b in zip(copies, parameters))


def _bytes(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8)


class _Generators:
    """Where the shared generators of torch (on the CPU), random and numpy stand."""

    def __init__(self):
        numpy = sys.modules.get("numpy")
        self._torch, self._python = torch.get_rng_state(), random.getstate()
        self._numpy = numpy.random.get_state() if numpy is not None else None

    def put(self):
        torch.set_rng_state(self._torch)
        random.setstate(self._python)
        if self._numpy is not None:
            sys.modules["numpy"].random.set_state(self._numpy)

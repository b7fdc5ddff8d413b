"""The modules whose outermost training call is moment F, found without help.

A root is a module that was called in training mode, with gradients on, from outside any other root, and owns a
parameter of an optimizer. Until there is an optimizer, and for as long as one has parameters of no known root, every
module's call is looked at; then only those of the roots' classes: a wrapped Module.__call__ would keep torch.compile
from tracing whole models.

A root that is no more stays in the table of weights, as it was, until settle(): a model in a reference cycle is
collected at a time of the collector's own, and the steps of others cover its buffers.
"""
import functools
import weakref

import torch


def _inherited_call(kind):
    """What finds the __call__ of a class as it is, or as its bases have it when it is called: torch.fx exchanges
    Module's while it traces."""
    own = kind.__dict__.get("__call__")
    if own is not None:
        return lambda: own
    base = next(base for base in kind.__mro__ if "__call__" in base.__dict__)
    return lambda: base.__dict__["__call__"]


class _Known:
    """A root, held weakly, and what it is made of: a slice of a Sequential is gone after its call, its layers are
    not."""

    def __init__(self, module):
        self._module, self._parts = weakref.ref(module), [_Known(part) for part in module.children()]
        self.name = type(module).__name__
        self._listed = _Listed([], [])  # as listed() found it last

    def is_(self, module):
        return self._module() is module

    def living(self):
        module = self._module()
        return [module] if module is not None else [part for known in self._parts for part in known.living()]

    def listed(self):
        """Its tensors: as they are, or as they were before it was gone."""
        module = self._module()
        if module is not None:
            self._listed = _Listed.of(module)
        return self._listed

    def drop(self, parameters):
        """Keeps none of these alive, by identity, where it is no more."""
        if self._module() is None:
            self._listed = self._listed.without(parameters)

    def let_go(self):
        self._listed = _Listed([], [])

    def settled(self):
        """Itself, or what is left of it."""
        if self._module() is not None:
            return [self]
        return [known for part in self._parts for known in part.settled()]


class _Listed:
    """A module's parameters and buffers, with their names."""

    def __init__(self, parameters, buffers):
        self.parameters, self.buffers = parameters, buffers

    @classmethod
    def of(cls, module):
        parameters = module.named_parameters(remove_duplicate=False)
        return cls(list(parameters), list(module.named_buffers(remove_duplicate=False)))

    def without(self, parameters):
        return _Listed([(name, one) for name, one in self.parameters if id(one) not in parameters], self.buffers)

    def identities(self):
        return {id(tensor) for _, tensor in (*self.parameters, *self.buffers)}


class Roots:
    def __init__(self, owned, forward, elsewhere, evaluated, trains_here):
        """`owned()`: the identities of the parameters that are updated. `forward(module, args, kwargs)`: called at F;
        `elsewhere`, likewise: called before the outermost training call of a module that is no root;
        `evaluated(args, kwargs, gradients)`: before a root's call in evaluation mode, whether gradients are on. None
        raises. `trains_here()`: whether this is the thread that trains."""
        self._owned, self._forward, self._elsewhere, self._evaluated = owned, forward, elsewhere, evaluated
        self._trains_here = trains_here
        self._known = []  # in the order in which they were found
        self._watching = False
        self._installed = False  # a wrapper of ours is part of Module.__call__
        self.depth = 0  # of calls of roots
        self.stopped = False
        self.stale = True  # the table of weights must be made again

    def begin_again(self):
        """For a new recorder: a replay of what it records knows no roots of the time before either."""
        known, self._known = self._known, []
        self.stopped, self.stale = False, True
        if known:
            self.optimizers_changed()

    def modules(self):
        """Those that live."""
        return [module for known in self._known for module in known.living()]

    def tables(self, others=()):
        """(prefix, tensors) of the roots and of the modules `others`: no prefix for a single one, else the class's
        name, numbered where two share it."""
        found = [(known.name, known.listed()) for known in self._known]
        found += [(type(module).__name__, _Listed.of(module)) for module in others]
        if len(found) == 1:
            return [("", found[0][1])]
        names = [name for name, _ in found]
        return [
            (f"{name}.{names[:i].count(name)}." if names.count(name) > 1 else f"{name}.", listed)
            for i, (name, listed) in enumerate(found)
        ]

    def identities(self):
        """Of all tensors in the table of weights."""
        return set().union(*(known.listed().identities() for known in self._known))

    def drop(self, parameters):
        """Parameters of optimizers that are gone: no step covers them any more, wherever they stand."""
        for known in self._known:
            known.drop(parameters)

    def let_go(self):
        """Nothing is recorded any more: keeps no tensor alive."""
        for known in self._known:
            known.let_go()

    def settle(self):
        """What is gone leaves the table. After everything that is no more was collected."""
        settled = [one for known in self._known for one in known.settled()]
        self.stale |= len(settled) != len(self._known) or any(a is not b for a, b in zip(settled, self._known))
        self._known = settled

    def add(self, module):
        """One that the program names itself."""
        if not self._is_root(module):
            self._known.append(_Known(module))
            self.stale = True
            self._wrap_class(type(module))

    def optimizers_changed(self):
        """An optimizer was made: its parameters may be those of a module that is not known yet."""
        self._watch(not self._owned() <= self.identities())

    def watch(self):
        """From the start. A parameter, buffer or module that is put in its place makes the table of weights stale."""
        from torch.nn.modules import module

        self._watch(True)

        def stale(*_):
            self.stale = True

        module.register_module_parameter_registration_hook(stale)
        module.register_module_buffer_registration_hook(stale)
        module.register_module_module_registration_hook(stale)

    # --- calls

    def _is_root(self, module):
        return any(known.is_(module) for known in self._known)

    def _becomes_root(self, module):
        owned = self._owned()
        if not any(id(parameter) in owned for parameter in module.parameters()):
            return False
        if self._known and _Listed.of(module).identities() <= self.identities():
            return True  # made of known ones, for this call
        self._known.append(_Known(module))
        self.stale = True
        self._wrap_class(type(module))
        self.optimizers_changed()
        return True

    def _called(self, call, module, args, kwargs):
        training = module.training and torch.is_grad_enabled()
        if training:
            root = self._is_root(module) or self._becomes_root(module)
            (self._forward if root else self._elsewhere)(module, args, kwargs)
        elif not module.training and self._is_root(module):
            self._evaluated(args, kwargs, torch.is_grad_enabled())
        self.depth += 1
        try:
            return call(module, *args, **kwargs)
        finally:
            self.depth -= 1

    def _passes(self):
        """True where a call is none of ours."""
        if torch.compiler.is_compiling() or self.depth > 0 or self.stopped:
            return True
        return not self._trains_here() or torch._C._functorch.peek_interpreter_stack() is not None

    def _watch(self, watching):
        self._watching = watching and not self.stopped
        present = torch.nn.Module.__call__
        if self._watching and not self._installed:
            torch.nn.Module.__call__, self._installed = self._watching_call(present), True
        elif not self._watching and getattr(present, "samestep", False):
            torch.nn.Module.__call__, self._installed = present.__wrapped__, False
        # Else somebody has put something around ours since: it stays, and ours lets every call pass.

    def _watching_call(self, plain):
        roots = self

        @functools.wraps(plain)
        def __call__(self, *args, **kwargs):
            if not roots._watching or roots._passes():
                return plain(self, *args, **kwargs)
            return roots._called(plain, self, args, kwargs)

        __call__.samestep = True
        return __call__

    def _wrap_class(self, kind):
        if getattr(kind.__dict__.get("__call__"), "samestep", False):
            return
        inherited = _inherited_call(kind)
        roots = self

        @functools.wraps(inherited())
        def __call__(self, *args, **kwargs):
            if not roots._passes() and (roots._watching or roots._is_root(self)):
                return roots._called(inherited(), self, args, kwargs)
            return inherited()(self, *args, **kwargs)

        __call__.samestep = True
        kind.__call__ = __call__

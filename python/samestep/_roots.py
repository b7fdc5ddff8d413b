"""The modules whose outermost training call is moment F, found without help.

A root is a module that was called in training mode, with gradients on, from outside any other root, and owns a parameter of
an optimizer. Until there is an optimizer, and for as long as one has parameters of no known root, every module's call is
looked at; then only those of the roots' classes: a wrapped Module.__call__ would keep torch.compile from tracing whole models.
"""
import functools
import threading
import weakref

import torch

_plain_call = torch.nn.Module.__call__


class _Known:
    """A root, held weakly, and what it is made of: a slice of a Sequential is gone after its call, its layers are not."""

    def __init__(self, module):
        self._module, self._parts = weakref.ref(module), [_Known(part) for part in module.children()]

    def is_(self, module):
        return self._module() is module

    def living(self):
        module = self._module()
        return [module] if module is not None else [part for known in self._parts for part in known.living()]


def _tensors_of(modules):
    return {id(tensor) for module in modules for tensor in (*module.parameters(), *module.buffers())}


class Roots:
    def __init__(self, owned, forward, elsewhere):
        """`owned()`: the identities of the parameters that are updated. `forward(module, args, kwargs)`: called at F;
        `elsewhere`, likewise: called before the outermost training call of a module that is no root. Neither raises."""
        self._owned, self._forward, self._elsewhere = owned, forward, elsewhere
        self._known = []  # in the order in which they were found
        self._watching = False
        self.depth = 0  # of calls of roots
        self.stopped = False
        self.stale = True  # the table of weights must be made again

    def begin_again(self):
        """The table of weights goes to a new recorder."""
        self.stopped, self.stale = False, True
        if self._known:
            self.optimizers_changed()

    def modules(self):
        return [module for known in self._known for module in known.living()]

    def named(self):
        """(prefix, module): none for a single root, else the class's name, numbered where two share it."""
        modules = self.modules()
        if len(modules) < 2:
            return [("", module) for module in modules]
        names = [type(module).__name__ for module in modules]
        return [
            (f"{name}.{names[:i].count(name)}." if names.count(name) > 1 else f"{name}.", module)
            for i, (name, module) in enumerate(zip(names, modules))
        ]

    def add(self, module):
        """One that the program names itself."""
        if not self._is_root(module):
            self._known.append(_Known(module))
            self.stale = True
            self._wrap_class(type(module))

    def optimizers_changed(self):
        """An optimizer was made: its parameters may be those of a module that is not known yet."""
        rooted = {id(parameter) for module in self.modules() for parameter in module.parameters()}
        self._watch(not self._owned() <= rooted)

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
        if self._known and _tensors_of([module]) <= _tensors_of(self.modules()):
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
        self.depth += 1
        try:
            return call(module, *args, **kwargs)
        finally:
            self.depth -= 1

    def _passes(self):
        """True where a call is none of ours."""
        if torch.compiler.is_compiling() or self.depth > 0 or self.stopped:
            return True
        return threading.current_thread() is not threading.main_thread()

    def _watch(self, watching):
        self._watching = watching and not self.stopped
        torch.nn.Module.__call__ = self._watching_call() if self._watching else _plain_call

    def _watching_call(self):
        roots = self

        def __call__(self, *args, **kwargs):
            if roots._passes():
                return _plain_call(self, *args, **kwargs)
            return roots._called(_plain_call, self, args, kwargs)

        __call__.samestep = True
        return __call__

    def _wrap_class(self, kind):
        if getattr(kind.__dict__.get("__call__"), "samestep", False):
            return
        own = kind.__call__
        inherited = _plain_call if getattr(own, "samestep", False) else own
        roots = self

        @functools.wraps(inherited)
        def __call__(self, *args, **kwargs):
            if not roots._passes() and (roots._watching or roots._is_root(self)):
                return roots._called(inherited, self, args, kwargs)
            return inherited(self, *args, **kwargs)

        __call__.samestep = True
        kind.__call__ = __call__

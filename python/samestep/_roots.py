"""The modules whose outermost training call is moment F, found without help.

A root is a module that was called in training mode, with gradients on, from outside any other root, and owns a parameter of
an optimizer. Until there is an optimizer, and for as long as one has parameters of no known root, every module's call is
looked at; then only those of the roots' classes: a wrapped Module.__call__ would keep torch.compile from tracing whole models.
"""
import functools
import weakref

import torch


def _inherited_call(kind):
    """What finds the __call__ of a class as it is, or as its bases have it when it is called: torch.fx exchanges Module's while
    it traces."""
    own = kind.__dict__.get("__call__")
    if own is not None:
        return lambda: own
    base = next(base for base in kind.__mro__ if "__call__" in base.__dict__)
    return lambda: base.__dict__["__call__"]


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
    def __init__(self, owned, forward, elsewhere, evaluated, trains_here):
        """`owned()`: the identities of the parameters that are updated. `forward(module, args, kwargs)`: called at F;
        `elsewhere`, likewise: called before the outermost training call of a module that is no root; `evaluated(args, kwargs, gradients)`:
        before a root's call in evaluation mode, whether gradients are on. None raises. `trains_here()`: whether this is the thread that trains."""
        self._owned, self._forward, self._elsewhere, self._evaluated = owned, forward, elsewhere, evaluated
        self._trains_here = trains_here
        self._known = []  # in the order in which they were found
        self._watching = False
        self._installed = False  # a wrapper of ours is part of Module.__call__
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

    def named(self, others=()):
        """(prefix, module) of the roots and of `others`: none for a single one, else the class's name, numbered where two share
        it."""
        modules = [*self.modules(), *others]
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

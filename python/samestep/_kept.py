"""What a program keeps besides weights and optimizer state and a restart must restore: the lane `state`.

A value is given a name (samestep.state()); schedulers, gradient scalers and modules that no optimizer owns get theirs
without being asked. In an anchor it is a list of tensors (_encoding.py).
"""
import contextlib
import weakref

import torch

from samestep._encoding import can_be_encoded, decoded, encoded
from samestep._tensors import overwrite

_values = {}  # name -> _Value, in the order of registration


class _Value:
    def __init__(self, get, put, only_jumps, owner=None):
        self.get, self.put = get, put
        self.only_jumps = only_jumps  # a program that came to its anchor by running has it already
        self.owner = owner  # weak: nobody asked to keep the object alive


def add(name, get, put, only_jumps=False):
    """Keeps what `get()` gives; `put(value)` is called when a replay starts from an anchor."""
    _values[name] = _Value(get, put, only_jumps)


def add_automatic(one):
    """Keeps one.state_dict(), unless the program does so by a name of its own, as long as the object lives."""
    if any(value.owner is not None and value.owner() is one for value in _values.values()):
        return
    owner, base = weakref.ref(one), type(one).__name__
    number = sum(1 for name in _values if name == base or name.startswith(f"{base}."))

    def put(state):
        owner().load_state_dict({**owner().state_dict(), **state})

    _values[f"{base}.{number}" if number else base] = _Value(lambda: plain_part(owner().state_dict()), put, True, owner)


def add_modules(modules):
    """Keeps what modules hold that no optimizer updates, by the names under which the program reaches them, as long as they
    live. A jump puts it back; a program that came to its anchor by running has it from `reached`."""
    for name, module in modules.items():
        known = _values.get(name)
        if known is None or (known.owner is not None and known.owner() is not module):
            owner = weakref.ref(module)
            _values[name] = _Value(lambda owner=owner: _tensors_of(owner()), _putter(owner), True, owner)


def _tensors_of(module):
    everything = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {name: tensor for name, tensor in everything.items() if not tensor.is_meta and not torch.nn.parameter.is_lazy(tensor)}


def _putter(owner):
    def put(recorded):
        for name, target in _tensors_of(owner()).items():
            source = recorded.get(name)
            if source is not None and (source.shape, source.dtype) == (target.shape, target.dtype):
                overwrite(target, source)

    return put


def forget_automatic(kind):
    """`kind` gets a name of the program's own."""
    for name in [name for name, value in _values.items() if value.owner is not None and value.owner() is kind]:
        del _values[name]


def handed():
    """Names and values, as lists of tensors. Raises TypeError for a value of which that cannot be made."""
    values = {name: encoded(name, value.get()) for name, value in _values.items() if value.owner is None}
    for name, value in _values.items():
        if value.owner is not None and value.owner() is not None:
            with contextlib.suppress(Exception):  # nobody asked for it: a state_dict() of the program's own may raise
                values[name] = encoded(name, value.get())
    names = [name for name in _values if name in values]
    return names, [values[name] for name in names]


def restore(names, recorded, jumped):
    for name, tensors in zip(names, recorded):
        value = _values.get(name)
        if value is not None and (jumped or not value.only_jumps):
            value.put(decoded(name, tensors, value.get()))


def plain_part(state):
    """The entries that can be kept: a scheduler's state may hold functions."""
    return {key: value for key, value in state.items() if can_be_encoded(value)}

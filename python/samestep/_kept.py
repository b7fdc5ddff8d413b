"""What a program keeps besides weights and optimizer state and a restart must restore: the lane `state`.

A value is given a name (samestep.state()); schedulers, gradient scalers and modules that no optimizer owns get theirs
without being asked. In an anchor it is a list of tensors (_encoding.py).
"""
import contextlib
import weakref

import torch

from samestep import _reachable
from samestep._encoding import can_be_encoded, decoded, encoded
from samestep._tensors import overwrite

_values = {}  # name -> _Value, in the order of registration
_given = {}  # class name -> how many names of automatic values began with it


class _Value:
    def __init__(self, get, put, only_jumps, owner=None, of=None):
        self.get, self.put = get, put
        self.only_jumps = only_jumps  # a program that came to its anchor by running has it already
        self.owner = owner  # weak: nobody asked to keep the object alive
        self.of = of  # the object whose state_dict() it is, by a name of the program's own


def begin_again():
    """For a new recording: what nobody named is named anew, as if there had been none before."""
    for name in [name for name, value in _values.items() if value.owner is not None]:
        del _values[name]
    _given.clear()


def add(name, get, put, only_jumps=False, of=None):
    """Keeps what `get()` gives; `put(value)` is called when a replay starts from an anchor. `of`: the object whose
    state it is."""
    for automatic in [name for name, value in _values.items() if of is not None and _owner_of(value) is of]:
        del _values[automatic]
    _values[name] = _Value(get, put, only_jumps, of=of)


def is_of(name, one):
    """Whether the name is of the state of that object."""
    return name in _values and _values[name].of is one


def add_automatic(one):
    """Keeps one.state_dict(), unless the program does so by a name of its own, as long as the object lives."""
    if any(value.of is one or _owner_of(value) is one for value in _values.values()):
        return
    owner = weakref.ref(one)

    def put(state):
        owner().load_state_dict({**owner().state_dict(), **state})

    _values[_name_for(type(one).__name__)] = _Value(lambda: plain_part(owner().state_dict()), put, True, owner)


def _owner_of(value):
    return value.owner() if value.owner is not None else None


def _name_for(base):
    """"StepLR", then "StepLR.1": in the order of their making, whether the earlier ones still live or not."""
    while True:
        number = _given[base] = _given.get(base, -1) + 1
        name = f"{base}.{number}" if number else base
        if name not in _values:
            return name


def add_modules(modules):
    """Keeps what modules hold that no optimizer updates, by the names under which the program reaches them, as long as
    they live. A jump puts it back; a program that came to its anchor by running has it from `reached`."""
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


def handed():
    """Names and values, as lists of tensors; an empty one for what is no more, whenever it was collected. Raises
    TypeError for a value of which that cannot be made."""
    _reachable.collect_unless_reached({id(owner) for owner in map(_owner_of, _values.values()) if owner is not None})
    found = {}
    for name, value in list(_values.items()):
        if value.owner is None:
            found[name] = encoded(name, value.get())
        elif value.owner() is None:
            found[name] = []
        else:
            with contextlib.suppress(Exception):  # nobody asked for it: a state_dict() of the program's own may raise
                found[name] = encoded(name, value.get())
    return list(found), list(found.values())


def restore(names, recorded, jumped):
    for name, tensors in zip(names, recorded):
        value = _values.get(name)
        gone = value is None or (value.owner is not None and value.owner() is None)
        if tensors and not gone and (jumped or not value.only_jumps):
            value.put(decoded(name, tensors, value.get()))


def plain_part(state):
    """The entries that can be kept: a scheduler's state may hold functions."""
    return {key: value for key, value in state.items() if can_be_encoded(value)}

"""What a program keeps besides weights and optimizer state and a restart must restore: the lane `state`.

A value is given a name (samestep.state()); schedulers and gradient scalers get theirs without being asked. In an anchor it
is a list of tensors: the first holds its shape as JSON, the others the tensors and arrays in it. Nothing is ever unpickled.
"""
import collections
import json
import sys
import weakref

import torch

from samestep._tensors import plain

_values = {}  # name -> _Value, in the order of registration
_DEEPEST = 64


class _Value:
    def __init__(self, get, put, only_jumps, owner=None):
        self.get, self.put = get, put
        self.only_jumps = only_jumps  # a program that came to its anchor by running has it already
        self.owner = owner  # weak: nobody asked to keep the object alive


def add(name, get, put, only_jumps=False):
    """Keeps what `get()` gives; `put(value)` is called when a replay starts from an anchor."""
    _values[name] = _Value(get, put, only_jumps)


def add_automatic(kind):
    """Keeps kind.state_dict(), unless the program does so by a name of its own, as long as the object lives."""
    owner, base = weakref.ref(kind), type(kind).__name__
    number = sum(1 for name in _values if name == base or name.startswith(f"{base}."))

    def put(state):
        owner().load_state_dict({**owner().state_dict(), **state})

    _values[f"{base}.{number}" if number else base] = _Value(lambda: _plain_part(owner().state_dict()), put, True, owner)


def forget_automatic(kind):
    """`kind` gets a name of the program's own."""
    for name in [name for name, value in _values.items() if value.owner is not None and value.owner() is kind]:
        del _values[name]


def known(name):
    return name in _values


def handed():
    """Names and values, as lists of tensors. Raises TypeError for a value of which that cannot be made."""
    living = [(name, value) for name, value in _values.items() if value.owner is None or value.owner() is not None]
    return [name for name, _ in living], [_encoded(name, value.get()) for name, value in living]


def restore(names, recorded, jumped):
    for name, tensors in zip(names, recorded):
        value = _values.get(name)
        if value is not None and (jumped or not value.only_jumps):
            value.put(_decoded(name, tensors))


# --- values and their tensors


def _encoded(name, value):
    tensors = []
    try:
        text = json.dumps(_shape(value, tensors, 0), ensure_ascii=False, separators=(",", ":"))
    except TypeError as error:
        raise TypeError(f'state "{name}": {error}') from None
    head = torch.frombuffer(bytearray(text.encode("utf-8", "surrogatepass")), dtype=torch.uint8)
    return [head, *(plain(tensor).detach() for tensor in tensors)]


def _shape(value, tensors, depth):
    """`value` for JSON; tensors are put aside. Everything but the simplest is an object with one key, its kind."""
    if depth > _DEEPEST:
        raise TypeError(f"it nests deeper than {_DEEPEST}")
    if value is None or isinstance(value, (bool, str)) or type(value) is int:
        return value
    if type(value) is float:
        return {"float": value.hex()}
    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return {"tensor": len(tensors) - 1}
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
        tensors.append(torch.from_numpy(numpy.array(value, order="C")))
        return {"array" if isinstance(value, numpy.ndarray) else "number": len(tensors) - 1}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, dict):
        return {"dict": [[_shape(key, tensors, depth + 1), _shape(part, tensors, depth + 1)] for key, part in value.items()]}
    for kind in (list, tuple, collections.deque):
        if isinstance(value, kind):
            return {kind.__name__: [_shape(part, tensors, depth + 1) for part in value]}
    raise TypeError(
        f"cannot keep a {type(value).__name__}: give numbers, text, bytes, tensors, arrays, and lists, tuples and "
        "dictionaries of these, or an object's state_dict()"
    )


def _decoded(name, tensors):
    try:
        text = bytes(tensors[0].tolist()).decode("utf-8", "surrogatepass")
        return _value(json.loads(text), tensors[1:])
    except (ValueError, IndexError, TypeError, KeyError) as error:
        raise ValueError(f'the anchor\'s state "{name}" is not as samestep writes it: {error}') from None


def _value(shape, tensors):
    if not isinstance(shape, dict):
        return shape
    ((kind, content),) = shape.items()
    if kind == "dict":
        return {_value(key, tensors): _value(part, tensors) for key, part in content}
    make = {
        "float": float.fromhex,
        "bytes": bytes.fromhex,
        "tensor": lambda place: tensors[place],
        "array": lambda place: tensors[place].numpy(),
        "number": lambda place: tensors[place].numpy()[()],
        "list": lambda parts: [_value(part, tensors) for part in parts],
        "tuple": lambda parts: tuple(_value(part, tensors) for part in parts),
        "deque": lambda parts: collections.deque(_value(part, tensors) for part in parts),
    }
    return make[kind](content)


def _plain_part(state):
    """The entries that can be kept: a scheduler's state may hold functions."""
    kept = {}
    for key, value in state.items():
        try:
            _shape(value, [], 0)
        except TypeError:
            continue
        kept[key] = value
    return kept

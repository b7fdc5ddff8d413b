"""A kept value as a list of tensors, and back: the first holds its shape as JSON, the others are the tensors and arrays in it.

Nothing is ever unpickled, no class is imported by name. A named tuple's class, and the function that fills a defaultdict, are
taken from the value that the program has now, or from a module that it has loaded.
"""
import collections
import json
import sys

import torch

from samestep._tensors import plain

_DEEPEST = 64
_FACTORIES = {kind.__name__: kind for kind in (bool, int, float, str, list, dict, set, tuple)}  # of a defaultdict
_OWN_FACTORY = "its own"
_SEQUENCES = {"list": list, "tuple": tuple, "Size": torch.Size}
_MAPPINGS = {"dict": dict, "OrderedDict": collections.OrderedDict, "Counter": collections.Counter}


class NoClass(Exception):
    """The program has no class, or function, that the value needs."""


def encoded(name, value):
    """Raises TypeError for a value of which no tensors can be made."""
    tensors = []
    try:
        text = json.dumps(_shape(value, tensors, 0), ensure_ascii=False, separators=(",", ":"))
    except TypeError as error:
        raise TypeError(f'state "{name}": {error}') from None
    head = torch.frombuffer(bytearray(text.encode("utf-8", "surrogatepass")), dtype=torch.uint8)
    return [head, *(plain(tensor).detach() for tensor in tensors)]


def decoded(name, tensors, now):
    """The value; `now`: what the program has in its place. Raises ValueError for what encoded() did not write."""
    try:
        text = bytes(tensors[0].tolist()).decode("utf-8", "surrogatepass")
        return _value(json.loads(text), tensors[1:], now)
    except NoClass as error:
        raise ValueError(f'state "{name}" of the anchor cannot be made again: {error}') from None
    except (ValueError, IndexError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f'the anchor\'s state "{name}" is not as samestep writes it: {error}') from None


def can_be_encoded(value):
    try:
        _shape(value, [], 0)
    except TypeError:
        return False
    return True


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
        return _shape_of_mapping(value, [[_shape(part, tensors, depth + 1) for part in item] for item in value.items()])
    if isinstance(value, (list, tuple, collections.deque)):
        return _shape_of_sequence(value, [_shape(part, tensors, depth + 1) for part in value])
    raise TypeError(
        f"cannot keep a {type(value).__name__}: give numbers, text, bytes, tensors, arrays, and lists, tuples and "
        "dictionaries of these, or an object's state_dict()"
    )


def _shape_of_mapping(value, items):
    if isinstance(value, collections.defaultdict):
        factory = value.default_factory
        known = getattr(factory, "__name__", "")
        return {"defaultdict": [factory and (known if _FACTORIES.get(known) is factory else _OWN_FACTORY), items]}
    return {next((kind for kind, cls in _MAPPINGS.items() if type(value) is cls), "dict"): items}


def _shape_of_sequence(value, parts):
    if isinstance(value, collections.deque):
        return {"deque": [value.maxlen, parts]}
    if _is_named_tuple(type(value)):
        return {"namedtuple": [[type(value).__module__, type(value).__qualname__], list(type(value)._fields), parts]}
    plainest = "list" if isinstance(value, list) else "tuple"
    return {next((kind for kind, cls in _SEQUENCES.items() if type(value) is cls), plainest): parts}


def _value(shape, tensors, now):
    if not isinstance(shape, dict):
        return shape
    ((kind, content),) = shape.items()
    if kind in _MAPPINGS:
        return _MAPPINGS[kind](dict(_items(content, tensors, now)))
    if kind in _SEQUENCES:
        return _SEQUENCES[kind](_parts(content, tensors, now))
    make = {
        "float": float.fromhex,
        "bytes": bytes.fromhex,
        "tensor": lambda place: tensors[place],
        "array": lambda place: tensors[place].numpy(),
        "number": lambda place: tensors[place].numpy()[()],
        "deque": lambda about: collections.deque(_parts(about[1], tensors, now), about[0]),
        "defaultdict": lambda about: collections.defaultdict(_factory(about[0], now), _items(about[1], tensors, now)),
        "namedtuple": lambda about: _named_tuple(*about, tensors, now),
    }
    return make[kind](content)


def _items(content, tensors, now):
    present = now if isinstance(now, dict) else {}
    found = []
    for key_shape, shape in content:
        key = _value(key_shape, tensors, None)
        found.append((key, _value(shape, tensors, dict.get(present, key))))
    return found


def _parts(content, tensors, now):
    present = list(now) if isinstance(now, (list, tuple, collections.deque)) else []
    return [_value(shape, tensors, part) for shape, part in zip(content, present + [None] * len(content))]


def _is_named_tuple(kind):
    fields = getattr(kind, "_fields", None)
    return issubclass(kind, tuple) and type(fields) is tuple and all(type(field) is str for field in fields)


def _named_tuple(names, fields, content, tensors, now):
    module, name = names
    loaded = sys.modules.get(module)
    for kind in (type(now), vars(loaded).get(name) if loaded is not None else None):
        if isinstance(kind, type) and _is_named_tuple(kind) and kind.__qualname__ == name and list(kind._fields) == fields:
            parts = _parts(content, tensors, now if type(now) is kind else None)
            if len(parts) != len(fields):
                raise ValueError(f"{len(parts)} values for the {len(fields)} fields of {name}")
            return tuple.__new__(kind, parts)  # not the class's own __new__: nothing of the program's runs
    raise NoClass(f"it holds a named tuple {name} with the fields {', '.join(fields)}; define it at the top of the module "
                  f"{module}, or give a plain tuple")


def _factory(name, now):
    if name is None or name in _FACTORIES:
        return _FACTORIES.get(name)
    if isinstance(now, collections.defaultdict):
        return now.default_factory
    raise NoClass("it holds a defaultdict with a function of the program's own, and the present value has none at that place "
                  "to take the function from; give a plain dictionary")

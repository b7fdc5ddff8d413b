"""Tensors that the program's variables hold besides weights and optimizer state: a moving average, a scaler's scale,
the last loss.

An anchor takes them along, named by how they are reached: "train.ema.0.weight" is the item "0.weight" of the variable
`ema` of the function `train` that is running. A replay that comes to the anchor without computing puts them back.
Looked at are the variables of the frames that led to the optimizer's step, outside torch.
"""
import collections
import ctypes
import gc
import inspect
import os
import sys
import types

import torch

from samestep import _text
from samestep._tensors import overwrite

_HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
_TORCH = os.path.join(os.path.dirname(os.path.abspath(torch.__file__)), "")
MOST_OBJECTS = 20_000
_DEEPEST = 8
_SMALL = 16  # elements: a scale, a counter, a running mean
_LEAVES = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType, type, str, bytes, int, float)
_CLOSED_MODULES = ("torch.utils.data", "numpy", "samestep")  # whose objects are not looked into
_SKIPPED_MODULES = (*_CLOSED_MODULES, "torch.optim")  # and where an anchor holds what these hold


def tensors(held, cut_short=lambda: None):
    """Those worth keeping, by name: derived from weights as their graph tells, shaped like a weight, or small. `held`:
    tensors that are kept anyway. `cut_short()` is called where there was more than is looked at."""
    memory = memory_of(held)
    shapes = {(tensor.shape, tensor.dtype) for tensor in held}
    return {
        name: tensor
        for name, tensor in all_tensors(cut_short).items()
        if tensor.data_ptr() not in memory and (_is_derived(tensor) or (tensor.shape, tensor.dtype) in shapes or tensor.numel() <= _SMALL)
    }


def memory_of(held):
    """Where their elements lie, which is where others' may lie that share them."""
    return {tensor.data_ptr() for tensor in held if _is_plain(tensor)}


def _is_derived(tensor):
    return tensor.requires_grad


def _is_plain(tensor):
    return tensor.layout == torch.strided and not tensor.is_nested and tensor.device.type == "cpu"


def modules(held):
    """Modules with tensors of their own and none of `held`, by name: an average of the weights, a teacher, a target
    network. The outermost of each; only what the training can change, or could have."""
    known = {id(tensor) for tensor in held}
    return _walk_frames(_ModuleWalk(lambda found: not found & known)).modules


def modules_of(parameters):
    """The outermost modules that hold any of these, by identity, in a fixed order."""
    return list(_walk_frames(_ModuleWalk(lambda found: bool(found & parameters))).modules.values())


def collect_unless_reached(identities):
    """Runs the garbage collector, unless the program's variables lead to all of these objects: then they live. After it
    those that are no more are gone, whenever it would have come by itself."""
    if not _leads_to(set(identities)):
        gc.collect()


def _leads_to(missing):
    if not missing:
        return True
    for value in _from_near_to_far():
        missing.discard(id(value))
        if not missing:
            return True
    return False


def in_order(kinds):
    """The living objects of these types, in an order that the program's variables give, from near to far; then those
    that these do not lead to, by type and by the shapes of what they step. Not in the collector's, which changes with
    every collection."""
    gc.collect()
    found = {}
    for value in _from_near_to_far():
        if _is(value, kinds):
            found.setdefault(id(value), value)
    # By their own type: a proxy is not asked what it is.
    others = [one for one in gc.get_objects() if _is(one, kinds) and id(one) not in found]
    return list(found.values()) + sorted(others, key=_description)


def _description(one):
    groups = one.param_groups if isinstance(one, torch.optim.Optimizer) else []
    return type(one).__name__, [[tuple(parameter.shape) for parameter in group["params"]] for group in groups]


def restore(found, recorded):
    """Puts the recorded elements into the tensors of the same name, type and shape."""
    for name, source in recorded.items():
        target = found.get(name)
        if target is not None and target.shape == source.shape and target.dtype == source.dtype:
            overwrite(target, source)


def all_tensors(cut_short=lambda: None):
    """Every plain tensor that the running functions' variables reach, by name, in a fixed order; each once."""
    walk = _walk_frames(_Walk())
    if walk.cut_short:
        cut_short()
    return walk.found


def _walk_frames(walk):
    for name, frame in _frames():
        for variable, value in _variables(frame):
            walk.visit(f"{name}.{variable}", value, 0)
    return walk


def _from_near_to_far():
    """What the variables of the running functions lead to, from the innermost outwards and as they are written down,
    and those of their modules, for a thread's functions have few of their own; then what these hold, and so on. What is
    looked for lies near, beside models of many parts."""
    frames = [frame for _, frame in _frames()]
    waiting = collections.deque(value for frame in frames for _, value in _variables(frame))
    waiting.extend(frame.f_globals for frame in frames)
    del frames
    seen = set()
    while waiting and len(seen) < MOST_OBJECTS:
        value = waiting.popleft()
        if value is None or _is(value, _LEAVES) or id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        if not _is(value, torch.Tensor):
            waiting.extend(part for _, part in _parts(value, _CLOSED_MODULES))


def _variables(frame):
    """Name and value of a running function's variables. Before Python 3.13 asking for them leaves a copy on the frame
    that keeps alive what the function deletes, and that is the dictionary which locals() gave the program: it is put
    back as it was."""
    if not _READS_FRAMES or not frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        return list(frame.f_locals.items())
    own = _dictionary_of(frame)
    before = dict(own) if own is not None else {}
    copied = frame.f_locals
    variables = list(copied.items())
    copied.clear()
    copied.update(before)
    return variables


def _dictionary_of(frame):
    """What locals() has given the running function, or None: by the layout of CPython's frames, which has no
    interface."""
    holder = id(frame)
    if sys.version_info >= (3, 11):
        holder = ctypes.c_void_p.from_address(holder + 3 * _WORD).value  # PyFrameObject.f_frame
    address = ctypes.c_void_p.from_address(holder + _PLACE_OF_LOCALS[sys.version_info[:2]] * _WORD).value
    return ctypes.cast(address, ctypes.py_object).value if address else None


_WORD = ctypes.sizeof(ctypes.c_void_p)
# In words: PyFrameObject.f_locals of 3.10, _PyInterpreterFrame.f_locals since.
_PLACE_OF_LOCALS = {(3, 10): 7, (3, 11): 3, (3, 12): 5}


def _reads_frames():
    """Later versions leave no copy; another layout than the expected one (a debugging build's) is left alone."""
    usual = sys.implementation.name == "cpython" and not hasattr(sys, "gettotalrefcount")
    if not usual or sys.version_info[:2] not in _PLACE_OF_LOCALS:
        return False

    def has_none():
        return _dictionary_of(sys._getframe()) is None

    def has_one():
        given = locals()
        return _dictionary_of(sys._getframe()) is given

    return has_none() and has_one()


_READS_FRAMES = _reads_frames()


def _frames():
    """(function, frame) from the optimizer's step outwards; a name that comes again is numbered."""
    frame, seen = sys._getframe(1), {}
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith((_HERE, _TORCH)):
            number = seen[code.co_name] = seen.get(code.co_name, -1) + 1
            yield (f"{code.co_name}#{number}" if number else code.co_name), frame
        frame = frame.f_back


class _Walk:
    """Runs no code of the program's: what stands in its variables may be a proxy that answers only where it is used."""

    def __init__(self):
        self.found, self.seen, self.cut_short = {}, set(), False

    def visit(self, name, value, depth):
        if _is(value, _LEAVES) or value is None or depth > _DEEPEST or id(value) in self.seen:
            return
        self.cut_short |= len(self.seen) >= MOST_OBJECTS
        if self.cut_short:
            return
        self.seen.add(id(value))
        if _is(value, torch.Tensor):
            if type(value) in (torch.Tensor, torch.nn.Parameter) and _is_plain(value):
                while name in self.found:  # a key may look like a path
                    name += "'"
                self.found[name] = value
            return
        for key, part in _parts(value):
            self.visit(_text.utf8(f"{name}.{key}"), part, depth + 1)


class _ModuleWalk(_Walk):
    """Stops at modules that are `wanted(identities of their tensors)`."""

    def __init__(self, wanted):
        super().__init__()
        self.wanted, self.modules = wanted, {}

    def visit(self, name, value, depth):
        if _is(value, torch.nn.Module) and id(value) not in self.seen:
            tensors = _tensors_of(value)
            if tensors and self.wanted({id(tensor) for tensor in tensors}):
                self.seen.add(id(value))
                self.modules[name] = value
                return
        super().visit(name, value, depth)


def _is(value, kinds):
    """isinstance() by the object's own type, which no object can deny."""
    return issubclass(type(value), kinds)


def _tensors_of(module):
    try:
        return [*module.parameters(), *module.buffers()]
    except Exception:  # noqa: BLE001 - not yet made by its own __init__, or one with other ideas
        return []


def _parts(value, skipped=_SKIPPED_MODULES):
    if _is(value, dict):
        return [(key, part) for key, part in list(dict.items(value)) if type(key) in (str, int)]
    if _is(value, (list, tuple)):
        kind = list if _is(value, list) else tuple
        return list(enumerate(kind.__getitem__(value, slice(1000))))
    if f"{type(value).__module__}.".startswith(tuple(f"{name}." for name in skipped)):
        return ()
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except Exception:  # noqa: BLE001 - it has none
        return ()
    return list(dict.items(attributes)) if type(attributes) is dict else ()

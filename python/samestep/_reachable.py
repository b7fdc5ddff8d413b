"""Tensors that the program's variables hold besides weights and optimizer state: a moving average, a scaler's scale, the
last loss.

An anchor takes them along, named by how they are reached: "train.ema.0.weight" is the item "0.weight" of the variable
`ema` of the function `train` that is running. A replay that comes to the anchor without computing puts them back. Looked
at are the variables of the frames that led to the optimizer's step, outside torch.
"""
import os
import sys
import types

import torch

_HERE = os.path.dirname(os.path.abspath(__file__))
_TORCH = os.path.dirname(os.path.abspath(torch.__file__))
_MOST_OBJECTS = 20_000
_DEEPEST = 8
_SMALL = 16  # elements: a scale, a counter, a running mean
_LEAVES = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType, type, str, bytes, int, float)
_SKIPPED_MODULES = ("torch.utils.data", "torch.optim", "numpy", "samestep")


def tensors(held):
    """Those worth keeping, by name: derived from weights as their graph tells, shaped like a weight, or small. `held`:
    tensors that are kept anyway."""
    memory = {tensor.data_ptr() for tensor in held if _is_plain(tensor)}
    shapes = {(tensor.shape, tensor.dtype) for tensor in held}
    return {
        name: tensor
        for name, tensor in all_tensors().items()
        if tensor.data_ptr() not in memory and (_is_derived(tensor) or (tensor.shape, tensor.dtype) in shapes or tensor.numel() <= _SMALL)
    }


def _is_derived(tensor):
    return tensor.requires_grad


def _is_plain(tensor):
    return tensor.layout == torch.strided and tensor.device.type == "cpu"


def restore(found, recorded):
    """Puts the recorded elements into the tensors of the same name, type and shape."""
    for name, source in recorded.items():
        target = found.get(name)
        if target is not None and target.shape == source.shape and target.dtype == source.dtype:
            target.data.copy_(source)


def all_tensors():
    """Every plain tensor that the running functions' variables reach, by name, in a fixed order; each once."""
    walk = _Walk()
    for name, frame in _frames():
        for variable, value in list(frame.f_locals.items()):
            walk.visit(f"{name}.{variable}", value, 0)
    return walk.found


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
    def __init__(self):
        self.found, self.seen = {}, set()

    def visit(self, name, value, depth):
        if isinstance(value, _LEAVES) or value is None or depth > _DEEPEST:
            return
        if id(value) in self.seen or len(self.seen) > _MOST_OBJECTS:
            return
        self.seen.add(id(value))
        if isinstance(value, torch.Tensor):
            if _is_plain(value) and type(value) in (torch.Tensor, torch.nn.Parameter):
                self.found[name] = value
            return
        for key, part in _parts(value):
            self.visit(f"{name}.{key}", part, depth + 1)


def _parts(value):
    if isinstance(value, dict):
        return [(key, part) for key, part in list(value.items()) if isinstance(key, (str, int))]
    if isinstance(value, (list, tuple)):
        return list(enumerate(value[:1000]))
    if type(value).__module__.startswith(_SKIPPED_MODULES):
        return ()
    attributes = getattr(value, "__dict__", None)
    return list(attributes.items()) if isinstance(attributes, dict) else ()

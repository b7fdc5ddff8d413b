"""Which tensors a training step read, out of whatever a program passes around."""
import dataclasses
from collections.abc import Mapping

import torch

_DEEPEST = 8  # a batch is never nested deeper


def tensors_in(value, found=None, depth=0):
    """Every tensor in `value`, in the order in which it is written down: sequences, mappings, dataclasses."""
    found = [] if found is None else found
    if isinstance(value, torch.Tensor):
        found.append(value)
    elif depth < _DEEPEST:
        for item in _items(value):
            tensors_in(item, found, depth + 1)
    return found


def _items(value):
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, Mapping):
        return value.values()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name) for field in dataclasses.fields(value)]
    return ()


def plain(tensor):
    """A tensor that can be read: not one of a subclass with a __torch_function__ of its own."""
    return tensor.as_subclass(torch.Tensor) if type(tensor) not in (torch.Tensor, torch.nn.Parameter) else tensor

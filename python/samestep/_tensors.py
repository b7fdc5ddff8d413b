"""Which tensors a training step read, out of whatever a program passes around."""
import dataclasses
import types
from collections.abc import Mapping

import torch

_DEEPEST = 8  # a batch is never nested deeper
_MOST_OBJECTS, _MOST_ATTRIBUTES = 1000, 100  # of classes of the program's own


def tensors_in(value, found=None, depth=0, seen=None):
    """Every tensor in `value`, in the order in which it is written down: sequences, mappings, dataclasses."""
    found, seen = [] if found is None else found, set() if seen is None else seen
    if isinstance(value, torch.Tensor):
        if not torch._C._functorch.is_functorch_wrapped_tensor(value):  # one of torch.func's: it has no memory of its own
            found.append(value)
    elif depth < _DEEPEST:
        for item in _items(value, seen):
            tensors_in(item, found, depth + 1, seen)
    return found


def _items(value, seen):
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, Mapping):
        return value.values()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name) for field in dataclasses.fields(value)]
    return _attributes(value, seen)


def _attributes(value, seen):
    """Those of a plain object, once: a batch of a class of the program's own. Not of what holds a model, or
    everything."""
    if isinstance(value, (torch.nn.Module, torch.optim.Optimizer, type, types.ModuleType, types.FunctionType, types.MethodType)):
        return ()
    try:
        attributes = object.__getattribute__(value, "__dict__")  # no code of a proxy's
    except AttributeError:
        return ()
    if type(attributes) is not dict or id(value) in seen or len(seen) >= _MOST_OBJECTS:
        return ()
    seen.add(id(value))
    return list(attributes.values())[:_MOST_ATTRIBUTES]


_COMPRESSED = {  # by layout: the methods that give what a tensor is made of
    torch.sparse_csr: ("crow_indices", "col_indices", "values"),
    torch.sparse_bsr: ("crow_indices", "col_indices", "values"),
    torch.sparse_csc: ("ccol_indices", "row_indices", "values"),
    torch.sparse_bsc: ("ccol_indices", "row_indices", "values"),
}


def dense_parts(tensor):
    """What can be digested of a tensor: itself, or where it is nested or sparse the dense ones that it is made of, in a
    fixed order: where the elements belong, then the elements."""
    if tensor.is_nested:
        return _parts_of_nested(tensor.detach())
    if tensor.layout == torch.sparse_coo:
        coalesced = tensor.detach().coalesce()
        return [coalesced.indices(), coalesced.values()]
    if tensor.layout in _COMPRESSED:
        return [getattr(tensor.detach(), part)() for part in _COMPRESSED[tensor.layout]]
    return [plain(tensor)]


def _parts_of_nested(tensor):
    if tensor.layout == torch.jagged:
        return [part for part in (tensor.offsets(), tensor.lengths(), tensor.values()) if part is not None]
    tensor = tensor.contiguous()
    return [tensor._nested_tensor_size(), tensor.values()]


def overwrite(target, source):
    """Puts the elements of `source`, of the same shape, into `target`; of an expanded one, each memory once."""
    target = target.data
    strides = target.stride() if target.layout is torch.strided else ()
    for dimension, (stride, size) in enumerate(zip(strides, target.shape)):
        if stride == 0 and size > 1:
            target, source = target.narrow(dimension, 0, 1), source.narrow(dimension, 0, 1)
    target.copy_(source)


def plain(tensor):
    """A tensor that can be read: not one of a subclass with a __torch_function__ of its own."""
    return tensor.as_subclass(torch.Tensor) if type(tensor) not in (torch.Tensor, torch.nn.Parameter) else tensor

"""A Python optimizer's options and state as numbers and tensors with names."""
import functools
import inspect

import torch

# StateItem::Kind in replay/capture/training_program.h
LIKE_PARAMETER, INTEGER, REAL, LIST = range(4)


def options_of(optimizer):
    """For each numeric option: group, name, value, and whether it differs from the optimizer's default ("lr" always)."""
    groups, names, values, notable = [], [], [], []
    defaults = _defaults_of(type(optimizer)) or optimizer.defaults
    for number, group in enumerate(optimizer.param_groups):
        for key, value in group.items():
            if key == "params":
                continue
            default = defaults.get(key, optimizer.defaults.get(key))
            for name, part, is_default in _numbers(key, value, default):
                groups.append(number)
                names.append(name)
                values.append(part)
                notable.append(int(key == "lr" or not is_default))
    return groups, names, values, notable


@functools.cache
def _defaults_of(kind):
    """What its constructor takes where nobody says otherwise: optimizer.defaults holds what somebody said."""
    try:
        parameters = inspect.signature(kind.__init__).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty}


def _numbers(key, value, default):
    if isinstance(value, (list, tuple)):
        defaults = default if isinstance(default, (list, tuple)) and len(default) == len(value) else [None] * len(value)
        for i, (part, usual) in enumerate(zip(value, defaults)):
            yield from _numbers(f"{key}{i}", part, usual)
    elif isinstance(value, torch.Tensor):
        if value.numel() == 1:
            yield key, float(value), False
    elif isinstance(value, (bool, int, float)):
        yield key, float(value), isinstance(default, (bool, int, float)) and float(default) == float(value)


def set_options(optimizer, groups, names, values):
    """Puts in numbers by the names that options_of() gave them, each as the type that stands there."""
    for number, name, value in zip(groups, names, values):
        group = optimizer.param_groups[number]
        if name in group:
            group[name] = _like(group[name], value)
            continue
        for key, parts in group.items():
            place = name.removeprefix(key)
            if place != name and place.isdigit() and isinstance(parts, (list, tuple)) and int(place) < len(parts):
                changed = list(parts)
                changed[int(place)] = _like(changed[int(place)], value)
                group[key] = type(parts)(changed)


def _like(present, value):
    if isinstance(present, torch.Tensor):
        return present.detach().fill_(value)
    if isinstance(present, (bool, int)) and value == int(value):
        return type(present)(value)
    return value


def state_of(optimizer):
    """For each item of each parameter's state: group, position, key, kind, tensors; keys sorted."""
    groups, positions, keys, kinds, tensors = [], [], [], [], []
    for number, group in enumerate(optimizer.param_groups):
        for position, parameter in enumerate(group["params"]):
            state = optimizer.state.get(parameter)
            for key, value in sorted(_flat(state or {}), key=lambda item: item[0]):
                item = _item(value)
                if item is None:
                    continue
                groups.append(number)
                positions.append(position)
                keys.append(key)
                kinds.append(item[0])
                tensors.append(item[1])
    return groups, positions, keys, kinds, tensors


def _flat(state, prefix=""):
    for key, value in state.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _item(value):
    if isinstance(value, torch.Tensor):
        return LIKE_PARAMETER, [value]
    if isinstance(value, (bool, int)):
        return INTEGER, [torch.tensor(int(value), dtype=torch.int64)]
    if isinstance(value, float):
        return REAL, [torch.tensor(value, dtype=torch.float64)]
    if isinstance(value, (list, tuple)) and all(isinstance(part, torch.Tensor) for part in value):
        return LIST, list(value)
    return None  # not there (None), or nothing that a step reads


def restore_state(optimizer, groups, positions, keys, kinds, tensors):
    """Puts in what state_of() gave when an anchor was cut; state that it does not name is gone."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state.pop(parameter, None)
    for group, position, key, kind, parts in zip(groups, positions, keys, kinds, tensors):
        parameter = optimizer.param_groups[group]["params"][position]
        state = optimizer.state.setdefault(parameter, {})
        *outer, last = key.split(".")
        for name in outer:
            state = state.setdefault(name, {})
        state[last] = _value(kind, parts, parameter)


def _value(kind, parts, parameter):
    if kind in (INTEGER, REAL):
        return parts[0].item()
    if kind == LIST:
        return [part.to(parameter.device) for part in parts]
    # A step counter stays in host memory, as the optimizer made it.
    return parts[0].to(parameter.device) if parts[0].dim() > 0 else parts[0]

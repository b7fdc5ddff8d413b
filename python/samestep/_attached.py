"""What samestep.attach() and samestep.state() were given, in every mode."""
import functools
import sys

names = set()  # of state()
_optimizers = []  # as torch.optim's have it, or a stand-in
_given = []  # the objects that the program gave, place for place
inside_step = False  # within a `with samestep.step()`


class StandIn:
    """An optimizer of the program's own, or none: has what the hooks ask of an optimizer."""

    def __init__(self, given, parameters):
        groups = getattr(given, "param_groups", None)
        self.param_groups = groups if isinstance(groups, list) else [{"params": parameters}]
        state = getattr(given, "state", None)
        self.state = state if isinstance(state, dict) else {}
        defaults = getattr(given, "defaults", None)
        self.defaults = defaults if isinstance(defaults, dict) else {}
        self.samestep_class_name = "HandWritten" if given is None else type(given).__name__


def listed(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def check_modules(modules):
    torch = sys.modules.get("torch")
    for module in modules:
        if torch is None or not isinstance(module, torch.nn.Module):
            raise TypeError(f"samestep.attach: a torch.nn.Module was expected, not a {type(module).__name__}")


def optimizers_for(modules, given):
    """Those to register; a stand-in for each that is none of torch.optim's."""
    torch = sys.modules["torch"]
    found = []
    for one in listed(given):
        if isinstance(one, torch.optim.Optimizer):
            found.append(one)
        elif one is None or callable(getattr(one, "step", None)):
            found.append(StandIn(one, [p for module in modules for p in module.parameters() if p.requires_grad]))
        else:
            raise TypeError(f"samestep.attach: an optimizer has a method step(); a {type(one).__name__} has none")
    _given.extend(listed(given))
    _optimizers.extend(found)
    return list(zip(listed(given), found))


def tell(moments, modules, optimizers):
    for module in modules:
        moments.roots.add(module)
    for given, optimizer in optimizers:
        moments.register(optimizer)
        if given is not None and is_stand_in(optimizer):
            given.step = _watched(moments, given.step, optimizer)


def _watched(moments, plain_step, optimizer):
    @functools.wraps(plain_step)
    def step(*args, **kwargs):
        if not moments.on():
            return plain_step(*args, **kwargs)
        return moments.updates.make(lambda _, *a, **k: plain_step(*a, **k), optimizer, args, kwargs)

    return step


def anything():
    return bool(_optimizers)


def is_stand_in(optimizer):
    return isinstance(optimizer, StandIn)


def the_one(given):
    """The optimizer of a step: the program's `given`, or the only one."""
    if given is not None:
        for known, optimizer in zip(_given, _optimizers):
            if known is given:
                return optimizer
        raise ValueError("samestep.step: this optimizer was not given to samestep.attach()")
    if not _optimizers:
        raise RuntimeError("samestep.step: nothing was attached; call samestep.attach(model, optimizer) first")
    if len(_optimizers) > 1:
        raise ValueError("samestep.step: several optimizers are attached; name the one: samestep.step(optimizer=...)")
    return _optimizers[0]

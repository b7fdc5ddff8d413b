"""What samestep.attach() and samestep.state() were given, in every mode."""
import functools
import gc
import sys
import weakref

SCHEDULER = "scheduler"  # the name of the state that attach() keeps

names = {}  # of state(): the run of a cell in which each was given
_attachments = []
loops = 0  # over steps() that were begun while this recording goes on
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


class Attachment:
    """What one call of attach() was given. The modules are held weakly: when a notebook's cell has made others, it is
    over."""

    def __init__(self, modules, pairs):
        self._modules = [weakref.ref(module) for module in modules]
        self.pairs = pairs  # (what the program gave, it or a stand-in)
        self.has_scheduler = False

    def lives(self):
        return any(module() is not None for module in self._modules)

    def modules(self):
        return [module for module in (known() for known in self._modules) if module is not None]

    def is_replaced_by(self, modules, given):
        """Of the same modules, or with one of the same optimizers."""
        same = len(modules) == len(self._modules) and all(known() is one for known, one in zip(self._modules, modules))
        return same or any(one is not None and one is known for one in given for known, _ in self.pairs)


def listed(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def check_modules(modules):
    torch = sys.modules.get("torch")
    for module in modules:
        if torch is None or not isinstance(module, torch.nn.Module):
            raise TypeError(f"samestep.attach: a torch.nn.Module was expected, not a {type(module).__name__}")


def attach(modules, given):
    """The Attachment, which stands where the one that it replaces stood, if it replaces one."""
    if _attachments:
        gc.collect()  # which models are no more must not be a matter of chance
    over = [one for one in _attachments if not one.lives() or one.is_replaced_by(modules, given)]
    known = [pair for one in over for pair in one.pairs]
    made = Attachment(modules, _optimizers_for(modules, given, known))
    for one in over:
        _attachments.remove(one)
        if one.has_scheduler:
            names.pop(SCHEDULER, None)
    _attachments.append(made)
    return made


def _optimizers_for(modules, given, known):
    """Those to register; a stand-in for each that is none of torch.optim's: the one that it has, where it has one."""
    torch = sys.modules["torch"]
    pairs = []
    for one in given:
        if isinstance(one, torch.optim.Optimizer):
            pairs.append((one, one))
        elif one is None or callable(getattr(one, "step", None)):
            parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
            stand_in = next((stand_in for other, stand_in in known if other is one), None) if one is not None else None
            if stand_in is None:
                stand_in = StandIn(one, parameters)
            pairs.append((one, stand_in))
        else:
            raise TypeError(f"samestep.attach: an optimizer has a method step(); a {type(one).__name__} has none")
    return pairs


def tell(moments, attachment):
    for module in attachment.modules():
        moments.roots.add(module)
    for given, optimizer in attachment.pairs:
        moments.register(optimizer)
        if given is not None and is_stand_in(optimizer) and not hasattr(given.step, "samestep"):
            given.step = _watched(moments, given.step, optimizer)


def tell_all(moments):
    """To a recording that begins later than they were attached."""
    global loops
    loops = 0
    for attachment in _attachments:
        tell(moments, attachment)


def _watched(moments, plain_step, optimizer):
    @functools.wraps(plain_step)
    def step(*args, **kwargs):
        if not moments.on():
            return plain_step(*args, **kwargs)
        return moments.updates.make(lambda _, *a, **k: plain_step(*a, **k), optimizer, args, kwargs)

    step.samestep = True
    return step


def anything():
    return bool(_attachments)


def is_stand_in(optimizer):
    return isinstance(optimizer, StandIn)


def the_one(given):
    """The optimizer of a step: the program's `given`, or the only one."""
    pairs = [pair for attachment in _attachments for pair in attachment.pairs]
    if given is not None:
        for known, optimizer in pairs:
            if known is given:
                return optimizer
        raise ValueError("samestep.step: this optimizer was not given to samestep.attach()")
    if not pairs:
        raise RuntimeError("samestep.step: nothing was attached; call samestep.attach(model, optimizer) first")
    if len(pairs) > 1:
        raise ValueError("samestep.step: several optimizers are attached; name the one: samestep.step(optimizer=...)")
    return pairs[0][1]


def take_name(name, again):
    """Raises ValueError for a name that the program has given already: a script at all, a notebook in the same run of a
    cell. `again`: it is for the same object."""
    run = _run_of_a_cell()
    if name in names and names[name] == run and not again:
        raise ValueError(f'samestep.state("{name}"): this name is taken')
    names[name] = run


def _run_of_a_cell():
    """What tells runs of a notebook's cells, or lines of a prompt, apart; a script is one."""
    shell = _notebook()
    if shell is not None:
        return shell.execution_count
    return object() if hasattr(sys, "ps1") else None


def _notebook():
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


def at_a_prompt():
    """Whether a person types what is run, in a notebook or a terminal."""
    return hasattr(sys, "ps1") or _notebook() is not None

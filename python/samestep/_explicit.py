"""The explicit API, for loops that the hooks cannot see and for loops that a replay may enter in the middle.

Off, recording or replaying: the environment says, and off every call returns at once. Misuse raises in every mode.
"""
import operator
import sys

from samestep import _attached


def _moments():
    """Of this process, where it is recorded or replayed."""
    hooks = sys.modules.get("samestep._hooks")
    return hooks.moments if hooks is not None and hooks.moments is not None and hooks.moments.on() else None


def attach(model, optimizer=None, scheduler=None):
    """Tells what is trained, where nothing calls `model` as a module or `optimizer` is none of torch.optim's.

    model: a torch.nn.Module, or a list of them. optimizer: one or a list; any object with `step()` and, if it has them,
    `param_groups` and `state` as torch.optim's have; None where the update is written by hand, in a `with samestep.step()`.
    scheduler: an object with state_dict() and load_state_dict(), kept as the state "scheduler".

    Called again with the same models, or with one of the same optimizers, as by a notebook's cell that is run again, it
    replaces what that call attached. So does a call once the models of an earlier one are no more.
    """
    modules = _attached.listed(model)
    _attached.check_modules(modules)
    attachment = _attached.attach(modules, _attached.listed(optimizer))
    if scheduler is not None:
        state(_attached.SCHEDULER, scheduler)
        attachment.has_scheduler = True
    if (moments := _moments()) is not None:
        moments.guarded(_attached.tell, moments, attachment)


def state(name, get, set=None):  # noqa: A002 - the word the field uses
    """Names what else must be restored when a replay starts in the middle: a data cursor, a best loss, a moving average.

    `get()` gives the value when an anchor is cut, `set(value)` takes it when a replay starts from one. Values: numbers, text,
    bytes, tensors, NumPy arrays, and lists, tuples and dictionaries of these. In place of both, an object with state_dict()
    and load_state_dict(). Names are unique in a script: ValueError for one that is taken, but for the same object. In a
    notebook the later run of a cell replaces what an earlier one gave by the name.
    """
    _keep(name, get, set, only_jumps=False)


def _keep(name, get, put, only_jumps):
    if not isinstance(name, str) or not name or "/" in name or not name.isprintable():
        raise ValueError(f"samestep.state: {name!r} is no name: printable text without a slash")
    if put is None:
        if not (hasattr(get, "state_dict") and hasattr(get, "load_state_dict")):
            raise TypeError(f'samestep.state("{name}"): give get and set, or an object with state_dict() and load_state_dict()')
        kind, get, put = get, get.state_dict, get.load_state_dict
    else:
        kind = None
    if not callable(get) or not callable(put):
        raise TypeError(f'samestep.state("{name}"): get and set must be functions')
    kept = sys.modules.get("samestep._kept")
    _attached.take_name(name, again=kind is not None and kept is not None and kept.is_of(name, kind))
    if "torch" in sys.modules:
        from samestep import _kept  # a recording may begin later

        _kept.add(name, get, put, only_jumps, of=kind)


def steps(first, end=None):
    """The numbers of the iterations to run, as range() gives them: all of them, or in a replay with --jump those from the
    anchor on. Once in a program.

    What a jump restores is the state at the end of an iteration: what attach() was given, generators, and whatever state()
    names. Everything that the loop keeps in variables of its own must be named.
    """
    first, end = (0, first) if end is None else (first, end)
    first, end = operator.index(first), operator.index(end)
    if (moments := _moments()) is None:
        return iter(range(first, end))
    _attached.loops += 1
    if _attached.loops > 1 or not _attached.anything():
        return iter(range(first, end))  # nothing that a replay could enter: it is led through it
    return _iterations(moments, Loop(first, end))


class Loop:
    """Where the loop over steps() is."""

    def __init__(self, first, end):
        self.next, self.end = first, end

    def go_on_at(self, number):
        self.next = number


def _iterations(moments, loop):
    from samestep import _kept

    _kept.add("samestep.steps", lambda: loop.next, loop.go_on_at, only_jumps=True)
    moments.loop = loop
    moments.guarded(moments.open)
    while loop.next < loop.end:
        loop.next += 1
        yield loop.next - 1
        moments.guarded(moments.end_iteration)


class step:  # noqa: N801 - reads as a function: with samestep.step(...) as s
    """One step of a loop that the hooks cannot see: `with samestep.step(batch=(x, y)) as s:`.

    batch: every tensor that the forward pass and the loss read, targets included; any nesting of them. The step begins here
    (moment F). It ends where the attached optimizer steps, or, where the update is written by hand, at the end of the block.
    optimizer: the one that this step is of, where attach() was given several.
    """

    def __init__(self, batch=None, optimizer=None):
        self.batch_given = batch is not None
        self.updated = False  # an optimizer's own step ended it
        self._batch, self._optimizer = batch, _attached.the_one(optimizer)
        self._moments, self._update, self._losses, self._skipped = None, None, [], False

    def __enter__(self):
        if _attached.inside_step:
            raise RuntimeError("samestep.step() inside of another one: a step ends before the next one begins")
        _attached.inside_step = True
        self._moments = _moments()
        if self._moments is not None:
            self._moments.step = self
            self._moments.guarded(self._begin)
        return self

    def __exit__(self, kind, error, trace):
        _attached.inside_step = False
        moments = self._moments
        if moments is None:
            return False
        if error is None and not self.updated and _attached.is_stand_in(self._optimizer):
            moments.guarded(self._commit)
        moments.step = None
        return False

    def loss(self, value):
        """A value that a backward pass starts from. What `value.backward()` shows by itself counts once."""
        if self._moments is not None:
            self._moments.guarded(self._add_loss, value)

    def hyper(self, name, value):
        """A hyper-parameter that no optimizer has. Give what was set, not what was computed from the data."""
        if self._moments is not None:
            self._moments.guarded(self._moments.hyper, name, value)

    def gradients(self):
        """The gradients are final and the update begins (moment P). Needed only where an update written by hand changes or
        drops them before the block ends."""
        if self._moments is not None and self._update is None:
            self._moments.guarded(self._begin_update)

    def skip(self):
        """No update is made on purpose: the step keeps its number, marked skipped."""
        self._skipped = True

    def is_new_loss(self, tensor):
        """Whether a loss is not one that this step has already."""
        if any(known is tensor for known in self._losses):
            return False
        self._losses.append(tensor)
        return True

    def _add_loss(self, value):
        if self._moments.native is not None:
            self._moments.loss(value)

    def _begin(self):
        self._moments.begin_step()
        if self.batch_given:
            from samestep._tensors import tensors_in

            self._moments.more_of_batch([tensor for tensor in tensors_in([self._batch])])

    def _begin_update(self):
        from samestep._updates import Update

        self._update = Update(self._optimizer)
        self._moments.before_update(self._update, False)

    def _commit(self):
        if self._update is None:
            self._begin_update()
        self._moments.after_update(self._update, self._skipped)

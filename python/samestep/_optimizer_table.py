"""The optimizers of the process as the log knows them: by number, in the order in which they were made.

Nothing here that enters a record depends on when the garbage collector ran: an optimizer in a reference cycle is no
more at a time of the collector's own. So a number is not given again while there are others; and the parameters of an
optimizer stay its own until settle() says that it is gone, which is asked where another one begins.
"""
import gc
import threading
import weakref

from samestep import _optimizers
from samestep._by_hand import HandWritten
from samestep._tensors import plain, tensors_in

MOST = 64  # numbers: max_optimizers of replay/capture/parameters.h


class TooMany(Exception):
    """More than the log has numbers for."""


class OptimizerTable:
    """Keeps none of them alive. Any thread may make one; the recording is told of it by the thread that trains."""

    def __init__(self):
        self._known = []  # weak; a place is a number in the log
        self.class_names = []
        self._told = 0  # of them the recording knows
        self._renewed = set()  # places whose optimizer is another one than it knows
        self._gone = []  # places to be given again, as the last search for such found them
        self._handed = {}  # by number: the parameters that were handed over, by group
        self._released = set()  # numbers of those whose parameters were taken back
        self._lock = threading.Lock()

    def __len__(self):
        return len(self._known)

    def living(self):
        return [optimizer for optimizer in (known() for known in self._known) if optimizer is not None]

    def told(self):
        """(number, optimizer) of those that live and the recording knows."""
        found = [(number, known()) for number, known in enumerate(self._known[: self._told])]
        return [(number, one) for number, one in found if one is not None and number not in self._renewed]

    def number_of(self, optimizer):
        return next(number for number, known in enumerate(self._known) if known() is optimizer)

    def owned(self):
        """The ids of the parameters that torch's own kind steps, or stepped before it was gone."""
        found = set()
        for number, optimizer in enumerate(known() for known in self._known):
            groups = self._handed.get(number, [])
            if optimizer is not None:
                groups = [*groups, *(group["params"] for group in optimizer.param_groups)]
            if not isinstance(optimizer, HandWritten):
                found |= {id(parameter) for group in groups for parameter in group}
        return found

    def has(self, optimizer):
        return any(known() is optimizer for known in self._known)

    def add(self, optimizer):
        """Raises TooMany where every number is that of an optimizer which lives."""
        with self._lock:
            name = _class_name(optimizer)
            if len(self._known) < MOST:
                self.class_names.append(name)
                self._known.append(weakref.ref(optimizer))
            else:
                number = self._number_to_give_again(name)
                self._renewed.add(number)
                self._known[number] = weakref.ref(optimizer)

    def _number_to_give_again(self, class_name):
        """That of an optimizer of the class that is no more: one of an earlier fold, or of an earlier sweep."""
        if (number := self._take_gone(class_name)) is not None:
            return number
        gc.collect()  # which are gone must not be a matter of chance
        self._gone = [number for number, known in enumerate(self._known) if known() is None]
        if (number := self._take_gone(class_name)) is not None:
            return number
        living = len(self._known) - len(self._gone)
        others = f" and {len(self._gone)} of other classes were before" if self._gone else ""
        raise TooMany(f"this program has more than {MOST} optimizers: a recording tells that many apart, {living} are "
                      f"in use{others}, and another {class_name} was made")

    def _take_gone(self, class_name):
        found = next((number for number in self._gone if self.class_names[number] == class_name), None)
        if found is not None:
            self._gone.remove(found)
        return found

    # --- what the recording is handed

    def grows(self):
        """Whether there is one that the recording was not told of."""
        return self._told < len(self._known) or bool(self._renewed)

    def settle(self, native):
        """Whose optimizer is gone, its parameters are nobody's from here on. After everything that is no more was
        collected."""
        for number in [number for number in self._handed if self._known[number]() is None]:
            native.renew_optimizer(number)
            del self._handed[number]

    def hand_groups(self, native, rooted):
        """`rooted()`: the identities of the parameters of the roots that live. Returns those of parameters that were
        taken from the recording, because their optimizers are no more."""
        self._tell(native)
        released = self._release(native, rooted)
        for number, optimizer in self.told():
            groups = [list(group["params"]) for group in optimizer.param_groups]
            if not _are(groups, self._handed.get(number)):
                native.hand_groups(number, [[plain(parameter) for parameter in group] for group in groups])
                self._handed[number] = groups
        return released

    def _tell(self, native):
        with self._lock:
            new, renewed = range(self._told, len(self._known)), sorted(n for n in self._renewed if n < self._told)
            self._told, self._renewed = len(self._known), set()
        for number in renewed:
            self._handed.pop(number, None)
            self._released.discard(number)
            native.renew_optimizer(number)
        for number in new:
            native.add_optimizer(self.class_names[number])
        if renewed or (new and any(known() is None for known in self._known[: new.start])):
            native.event("other_optimizer", "An optimizer is no more, and another one begins: weights of the same names may be "
                                            "another model's.")

    def _release(self, native, rooted):
        """The memory of those that are no more. Of their parameters the recording keeps those of roots that live: there
        they are still another's than the one's that steps."""
        dead = {number for number, known in enumerate(self._known) if known() is None and number in self._handed}
        dead -= self._released
        identities, living = set(), rooted() if dead else set()
        for number in sorted(dead):
            all_of_it = [parameter for group in self._handed[number] for parameter in group]
            kept = [parameter for parameter in all_of_it if id(parameter) in living]
            identities |= {id(parameter) for parameter in all_of_it} - living
            native.renew_optimizer(number)
            native.hand_groups(number, [[plain(parameter) for parameter in kept]])
            self._handed[number] = [kept]
        self._released |= dead
        return identities

    def let_go(self):
        """Nothing is recorded any more: keeps no tensor alive."""
        self._handed.clear()

    def hand_options(self, native):
        for number, optimizer in self.told():
            native.hand_options(number, *_optimizers.options_of(optimizer))

    def hand_states(self, native):
        for number, optimizer in self.told():
            native.hand_state(number, *_optimizers.state_of(optimizer))

    def restore_states(self, native):
        for number, optimizer in self.told():
            _optimizers.restore_state(optimizer, *native.restored_state(number))

    def tensors(self):
        """All that they hold, parameters and state."""
        tensors = []
        for optimizer in self.living():
            for state in optimizer.state.values():
                tensors += tensors_in([state])
            tensors += tensors_in([group["params"] for group in optimizer.param_groups])
        return tensors

    def gradients_waiting(self, stepped):
        """By name: those that a backward pass left for other optimizers than the one that has just stepped, where one
        loss serves several. None where nobody stepped."""
        if stepped is None:
            return {}
        return {
            f"gradients of optimizer {number}/{group}/{position}": _elements(parameter.grad)
            for number, optimizer in self.told()
            if optimizer is not stepped
            for group, parameters in enumerate(group["params"] for group in optimizer.param_groups)
            for position, parameter in enumerate(parameters)
            if parameter.grad is not None
        }


def _are(groups, known):
    """Whether these are the same objects in the same groups."""
    if known is None or [len(group) for group in groups] != [len(group) for group in known]:
        return False
    return all(a is b for group, other in zip(groups, known) for a, b in zip(group, other))


def _elements(gradient):
    return gradient._values() if gradient.is_sparse else gradient


def _class_name(optimizer):
    return getattr(optimizer, "samestep_class_name", type(optimizer).__name__)

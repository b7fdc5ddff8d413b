"""The optimizers of the process as the log knows them: by number, in the order in which they were made."""
import threading
import weakref

from samestep import _optimizers
from samestep._by_hand import HandWritten
from samestep._tensors import plain, tensors_in


class OptimizerTable:
    """Keeps none of them alive. Any thread may make one; the recording is told of it by the thread that trains."""

    def __init__(self, optimizers):
        self._known = [weakref.ref(optimizer) for optimizer in optimizers]  # a place is a number in the log
        self.class_names = [_class_name(optimizer) for optimizer in optimizers]
        self._told = 0  # of them the recording knows
        self._renewed = set()  # places whose optimizer is another one than it knows
        self._handed = {}  # by number: the ids of the parameters that were handed over
        self._lock = threading.Lock()

    def __len__(self):
        return len(self._known)

    def living(self):
        return [optimizer for optimizer in (known() for known in self._known) if optimizer is not None]

    def told(self):
        """(number, optimizer) of those that live and the recording knows."""
        found = [(number, known()) for number, known in enumerate(self._known[: self._told])]
        return [(number, optimizer) for number, optimizer in found if optimizer is not None]

    def number_of(self, optimizer):
        return next(number for number, known in enumerate(self._known) if known() is optimizer)

    def owned(self):
        """The ids of the parameters that torch's own kind steps."""
        return {
            id(parameter)
            for optimizer in self.living()
            if not isinstance(optimizer, HandWritten)
            for group in optimizer.param_groups
            for parameter in group["params"]
        }

    def has(self, optimizer):
        return any(known() is optimizer for known in self._known)

    def add(self, optimizer):
        with self._lock:
            number = self._free_place(_class_name(optimizer))
            if number is None:
                self.class_names.append(_class_name(optimizer))
                self._known.append(weakref.ref(optimizer))
            else:
                self._renewed.add(number)
                self._known[number] = weakref.ref(optimizer)

    def _free_place(self, class_name):
        """The number of an optimizer of that class that is no more: one of an earlier fold, or of an earlier sweep."""
        for number, known in enumerate(self._known):
            if known() is None and self.class_names[number] == class_name:
                return number
        return None

    # --- what the recording is handed

    def hand_groups(self, native):
        """True where the parameters of an optimizer that is no more were taken from the recording."""
        self._tell(native)
        retired = self._retire_dead(native)
        for number, optimizer in self.told():
            identities = [[id(parameter) for parameter in group["params"]] for group in optimizer.param_groups]
            if self._handed.get(number) != identities:
                native.hand_groups(number, [[plain(p) for p in group["params"]] for group in optimizer.param_groups])
                self._handed[number] = identities
        return retired

    def _tell(self, native):
        with self._lock:
            new, renewed = range(self._told, len(self._known)), sorted(n for n in self._renewed if n < self._told)
            self._told, self._renewed = len(self._known), set()
        for number in renewed:
            self._handed.pop(number, None)
            native.renew_optimizer(number)
        for number in new:
            native.add_optimizer(self.class_names[number])
        gone = any(known() is None for known in self._known[: new.start])
        if renewed or (new and gone):
            native.event("other_optimizer", "An optimizer is no more, and another one begins: weights of the same names may be "
                                            "another model's.")

    def _retire_dead(self, native):
        """Their parameters must not live on in the log."""
        dead = [number for number, known in enumerate(self._known) if known() is None and self._handed.get(number)]
        for number in dead:
            native.renew_optimizer(number)
            self._handed[number] = []
        return bool(dead)

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
        """By name: those that a backward pass left for other optimizers than the one that has just stepped, where one loss
        serves several. None where nobody stepped."""
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


def _elements(gradient):
    return gradient._values() if gradient.is_sparse else gradient


def _class_name(optimizer):
    return getattr(optimizer, "samestep_class_name", type(optimizer).__name__)

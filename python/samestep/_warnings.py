"""What torch says it cannot do deterministically, logged with the line of the program that asked for it.

`use_deterministic_algorithms` is on as a warning, so torch warns. Python asks every entry of `warnings.filters` whether
it fits; one of ours stands first, looks, and says no, so that the program's own filters decide what becomes of the
warning, as if ours were not there. One case is answered: a program whose filters make an error of the warning would die
of a mode that it never asked for, and then the warning is dropped.
"""
import functools
import os
import re
import sys
import warnings

import torch

from samestep import _text

KIND = "nondeterministic"  # of the event
_SIGN = "does not have a deterministic implementation"
_MOST_PLACES = 200
_LIBRARY = os.path.dirname(os.__file__) + os.sep
_OWN = tuple(os.path.dirname(os.path.abspath(path)) + os.sep for path in (torch.__file__, __file__))


class DeterminismWarnings:
    """The `message` of a filter, where a compiled pattern stands else: match() is asked of every warning."""

    pattern, flags = "(?!)", 0  # for who reads the filters: it fits nothing

    def __init__(self):
        self.known = set()
        self.untold = []
        self.asked_for = False  # by the program itself
        self.entry = ("ignore", self, Warning, None, 0)

    def install(self):
        """Looks at every warning from here on. Before Samestep turns the mode on."""
        use = torch.use_deterministic_algorithms
        self.asked_for = torch.are_deterministic_algorithms_enabled()

        @functools.wraps(use)
        def use_deterministic_algorithms(*args, **kwargs):
            self.asked_for = True
            return use(*args, **kwargs)

        torch.use_deterministic_algorithms = use_deterministic_algorithms
        self._follow("_add_filter")
        self._follow("resetwarnings")
        self.stand_first()

    def _follow(self, name):
        """After each call of a function of `warnings` that puts filters before ours, or takes ours away."""
        original = getattr(warnings, name, None)
        if original is None:
            return

        @functools.wraps(original)
        def followed(*args, **kwargs):
            result = original(*args, **kwargs)
            self.stand_first()
            return result

        setattr(warnings, name, followed)

    def attend(self, native):
        """At every step: tells what was seen since the last one."""
        self.stand_first()
        while self.untold:
            native.event(KIND, _text.utf8(self.untold.pop(0)))

    def stand_first(self):
        """Every step again, for `warnings.filters` can be assigned to."""
        filters = warnings.filters
        if filters and filters[0] is self.entry:
            return
        filters[:] = [self.entry, *(entry for entry in filters if entry is not self.entry)]

    def __reduce__(self):
        """A program that hands its filters to another process (as joblib does) hands over a pattern that fits nothing."""
        return re.compile, (self.pattern,)

    def match(self, text):
        """Whether the warning is to be dropped."""
        if _SIGN not in text:
            return False
        frame = sys._getframe(1)
        self.note(text, frame)
        return not self.asked_for and self.effective_action(text, frame) == "error"

    def note(self, text, frame):
        place = _place(frame)
        operator = text.split(" ", 1)[0]
        if (operator, place) in self.known or len(self.known) >= _MOST_PLACES:
            return
        self.known.add((operator, place))
        self.untold.append(f"{operator} {_SIGN}: {place}")

    def effective_action(self, text, frame):
        """What the program's own filters make of a UserWarning raised in `frame`."""
        module = frame.f_globals.get("__name__", "")
        for action, message, category, where, line in warnings.filters:
            if message is not self and _fits(message, text) and issubclass(UserWarning, category) \
                    and _fits(where, module) and line in (0, frame.f_lineno):
                return action
        return warnings.defaultaction


def _fits(pattern, text):
    if pattern is None:
        return True
    return pattern == text if isinstance(pattern, str) else bool(pattern.match(text))


def _place(frame):
    """The innermost line that is neither torch's, nor the standard library's, nor ours: the program's."""
    innermost = frame
    while frame is not None:
        path = frame.f_code.co_filename
        own = path.startswith(_OWN) or path.startswith(_LIBRARY) and "site-packages" not in path or path.startswith("<frozen")
        if not own:
            break
        frame = frame.f_back
    frame = frame or innermost
    return f"{frame.f_code.co_filename}, line {frame.f_lineno}, in {frame.f_code.co_name}"

"""Seeds that a program gives itself: kept with the run, and given again in a replay where they came out otherwise.

A program that seeds with the clock or its process id trains something else every time. Each number given to random.seed(),
random.Random(), numpy.random.seed(), numpy.random.default_rng() or torch.manual_seed() is written down beside the recorder's
socket, a line of JSON a call. In a replay of the same command the recorder puts the recorded lines there first; where the
program then asks for another number at the same call, from unchanged code, it is given the recorded one, and the replay's
answer names both. A call from edited code keeps its own, and so does one of a process with other arguments where a file of
the command was edited (a script that starts the program): an edited seed is a difference to be found.

Runs at the interpreter's start, like _entropy.py, whose process names it shares.
"""
import os
import sys

# Names and limits as in replay/recorder/seeds.h.
ASKED, GIVEN = "seeds", "seeds-given"
MOST_CALLS = 256  # that a process writes down
MOST_DIGITS = 40
_HERE = os.path.dirname(os.path.abspath(__file__))
_WRAPPERS = tuple(os.path.join("torch", *place) for place in (("_compile.py",), ("_dynamo", "eval_frame.py")))
_WORKERS = os.path.join("torch", "utils", "data", "_utils", "worker.py")  # seeds its processes out of the parent's


class Seeds:
    def __init__(self, folder, process, is_own):
        """`process()`: the name of this one. `is_own(file)`: whether code in `file` is the program's own."""
        self._folder, self._process, self._is_own = folder, process, is_own
        self._calls = {}  # by source
        self._unwritten = None  # the first failure
        self._codes = {}  # digests, by code object
        self._given = None  # of all processes, by process, source and number of the call: (number, code, arguments)

    def __call__(self, source, value):
        """What to seed with where the program says `value`."""
        text = _written(value)
        caller = sys._getframe(1)
        while _is_between(caller):
            caller = caller.f_back
        if text is None or caller is None or caller.f_code.co_filename.endswith(_WORKERS):
            return value
        number = self._calls.get(source, 0)
        self._calls[source] = number + 1
        if number >= MOST_CALLS:
            return value
        name, code, arguments = self._process(), self._code(caller), _arguments()
        recorded, *recorded_by = self._recorded().get((name, source, number), (text, code, arguments))
        replaced = recorded != text and recorded_by in ([code, None], [code, arguments])
        self._note({"process": name, "source": source, "call": number, "seed": text, "code": code, "replaced": replaced,
                    "arguments": arguments})
        return _read(recorded) if replaced else value

    def forked(self):
        self._calls.clear()

    def _recorded(self):
        if self._given is None:
            import json  # loaded on first use: most processes never seed

            self._given = {}
            try:
                with open(os.path.join(self._folder, GIVEN), encoding="ascii") as lines:
                    for line in lines:
                        call = json.loads(line)
                        by = call["code"], call.get("arguments")
                        self._given[call["process"], call["source"], call["call"]] = call["seed"], *by
            except OSError:
                pass  # none, or the recorder has ended and this process has not
        return self._given

    def _note(self, call):
        import json

        line = json.dumps(call).encode() + b"\n"
        try:
            file = os.open(os.path.join(self._folder, ASKED), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError:
            return  # the recorder has ended and this process has not
        try:
            os.write(file, line)  # at once: several processes write
        except OSError as error:
            if self._unwritten is None:
                self._unwritten = error
                sys.stderr.write(f"samestep: a seed could not be noted: {error}; a replay seeds as it happens to then\n")
        finally:
            os.close(file)

    def _code(self, frame):
        """A digest of what the program's own functions on the stack do, whatever lines they stand in."""
        import hashlib

        digest = hashlib.blake2b(digest_size=8)
        while frame is not None:
            code = frame.f_code
            if self._is_own(code.co_filename):
                if code not in self._codes:
                    self._codes[code] = _meaning(code).encode()
                digest.update(self._codes[code])
            frame = frame.f_back
        return digest.hexdigest()


def _arguments():
    """A digest of the process's arguments, without the program's own name."""
    import hashlib

    return hashlib.blake2b(ascii(getattr(sys, "argv", [])[1:]).encode(), digest_size=8).hexdigest()


def _is_between(frame):
    """Whether it is ours, or one of those that torch's compiler puts around functions of torch.random."""
    return frame is not None and (
        frame.f_code.co_filename.startswith(_HERE) or frame.f_code.co_filename.endswith(_WRAPPERS)
    )


def _meaning(code):
    constants = [_meaning(part) if isinstance(part, type(code)) else repr(part) for part in code.co_consts]
    return repr((code.co_code.hex(), code.co_names, constants))


def _written(value):
    """A number as text; None for any other seed, and for what is too long."""
    if isinstance(value, (bool, str, bytes, bytearray)):
        return None
    text = repr(float(value)) if isinstance(value, float) else None
    if text is None:
        try:
            text = str(value.__index__())
        except (AttributeError, TypeError, ValueError):
            return None
    return text if len(text) <= MOST_DIGITS and text not in ("nan", "inf", "-inf") else None


def _read(text):
    return int(text) if text.lstrip("-").isdigit() else float(text)

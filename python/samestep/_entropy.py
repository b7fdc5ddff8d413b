"""Randomness that nobody seeded, given by the recorder so that a replay can give it again.

A recorded run has one secret. Where a program would ask the operating system for a seed (random.seed(), a fresh
random.Random(), numpy's unseeded generators, torch.seed(), os.urandom() in the program's own code), it gets bytes derived
from that secret, the process and the number of the call: as unpredictable as before to whoever does not hold the run,
and the same again in a replay. What asks for secrecy rather than for a seed (ssl, tempfile, uuid, secrets' tokens) keeps
the operating system's.

Runs at the interpreter's start: imports only what is there already, and waits for the rest to be imported.
"""
import os
import sys

from samestep._seeds import Seeds

VARIABLE = "SAMESTEP_ENTROPY"
SOCKET_VARIABLE = "SAMESTEP_SOCKET"
SOCKET = os.environ.get(SOCKET_VARIABLE, "")  # now: a program may clear its environment
_ATTACHED = os.environ.get("SAMESTEP_ATTACHED", "")
ATTACHED = int(_ATTACHED) if _ATTACHED.isdecimal() else 0  # which samestep.record() of the process a replay begins at
# The states that the shared generators of `random` and numpy were given. One that still has it was neither seeded nor
# drawn from: it decides nothing, and two recordings of a seeded program must not differ by it.
given_states = {}


# What stands behind a Mersenne twister's words: version or position, whether a normal number is kept, and it.
_REST, _REST_SIZE = "<i?d", 13


def python_generator():
    """The state of random's shared generator, as bytes; of one length, whatever the state."""
    import array
    import random
    import struct

    version, numbers, gauss = random.getstate()
    return array.array("I", numbers).tobytes() + struct.pack(_REST, version, gauss is not None, gauss or 0.0)


def numpy_generator():
    """The state of numpy's shared generator, as bytes; of one length as long as it is the usual one."""
    import json
    import struct

    import numpy

    state = numpy.random.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":  # numpy.random.set_bit_generator() put another in its place
        return json.dumps(state, sort_keys=True, default=lambda array: array.tolist()).encode()
    twister = state["state"]
    return twister["key"].tobytes() + struct.pack(_REST, twister["pos"], state["has_gauss"], state["gauss"])


# Name in the log, module that must be there, and how to read it.
SHARED_GENERATORS = (("python", "random", python_generator), ("numpy", "numpy", numpy_generator))


def set_generator(name, state):
    """The reverse: `state` as one of the functions above gave it. Raises ValueError where it is not."""
    import array
    import json
    import struct

    if name == "numpy" and state.startswith(b"{"):
        return sys.modules["numpy"].random.set_state(json.loads(state))
    words = array.array("I")
    size = words.itemsize * (625 if name == "python" else 624)
    if len(state) != size + _REST_SIZE:
        raise ValueError(f"the state of {name}'s generator has {len(state)} bytes, not {size + _REST_SIZE}")
    words.frombytes(state[:size])
    first, has_gauss, gauss = struct.unpack(_REST, state[size:])
    if name == "python":
        sys.modules["random"].setstate((first, tuple(words), gauss if has_gauss else None))
    else:
        sys.modules["numpy"].random.set_state(("MT19937", words, first, int(has_gauss), gauss))


class Entropy:
    def __init__(self, secret):
        self.secret = secret
        self.process = None  # its name among those of the run, once somebody asks
        self.calls = {}  # by source of the call
        self.children = 0

    def name(self):
        """Of this process."""
        if self.process is None:
            self.process = _process_name()
        return self.process

    def bytes(self, source, count):
        """The next `count` bytes for `source`, which names who asks."""
        import hashlib  # loaded on first use: most processes never ask

        number = self.calls.get(source, 0)
        self.calls[source] = number + 1
        name = f"{self.name()}\0{source}\0{number}".encode()
        found = b""
        while len(found) < count:
            part = len(found).to_bytes(8, "little")
            found += hashlib.blake2b(name + part, key=self.secret[:64], person=b"samestep").digest()
        return found[:count]

    def integer(self, source, bits):
        return int.from_bytes(self.bytes(source, (bits + 7) // 8), "little") >> (-bits % 8)

    def forked(self):
        """In a child: a sequence of its own, named by its place among its siblings."""
        self.process = f"{self.process}\0fork {self.children}"
        self.calls.clear()

    def about_to_fork(self):
        self.name()
        self.children += 1


def _folder():
    """The recorder's own, where its socket lies: processes leave each other word there."""
    return os.path.dirname(SOCKET)


def _place_among_spawned():
    """"-1": how many of its parent's children were started before it. Which of several that run side by side asks first
    is chance, the order in which they were started is the program's."""
    if "--multiprocessing-fork" not in getattr(sys, "orig_argv", ()):
        return ""
    try:
        tasks = f"/proc/{os.getppid()}/task"
        children = [child for task in os.listdir(tasks) for child in _words_of(f"{tasks}/{task}/children")]
    except OSError:
        return ""
    return f"-{sum(int(child) < os.getpid() for child in children)}"


def _words_of(file):
    with open(file, encoding="ascii") as text:
        return text.read().split()


def _process_name():
    """Rank, place among those that multiprocessing spawned, and how many such asked before: the same in a replay as long
    as those that are alike start one after the other. Neither the script's name nor its arguments: an edited copy must
    draw what the original drew."""
    rank = (os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or "0") + _place_among_spawned()
    number = 0
    while True:
        try:
            os.close(os.open(os.path.join(_folder(), f"process-{rank}-{number}"), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            number += 1
            continue
        except OSError:
            pass
        return f"{rank}\0{number}"


def _give_to_random(entropy, seeds):
    import random

    plain_seed = random.Random.seed

    def seed(self, a=None, version=2):
        if not isinstance(self, random.SystemRandom):
            a = entropy.integer("random", 256) if a is None else seeds("random", a)
        return plain_seed(self, a, version)

    seed.__doc__, seed.__qualname__ = plain_seed.__doc__, plain_seed.__qualname__
    random.Random.seed = seed
    random.seed = random._inst.seed  # bound to the class's own before
    random.seed()  # the shared generator was seeded when the module was imported
    given_states["python"] = python_generator()
    os.register_at_fork(after_in_child=_seed_child)  # behind the module's own, which asks the operating system
    _keep_packages_apart()


def _seed_child():
    sys.modules["random"]._inst.seed()
    given_states["python"] = python_generator()


def _keep_packages_apart():
    """Until the program has seeded random, what installed packages draw from it (rich does when it is imported) is none of
    the program's randomness: they get another generator, and two recordings do not differ by it."""
    import functools
    import random

    shared, apart = random._inst, random.Random()
    seeded = [False]

    def divided(name, seeds):
        plain = getattr(random, name)

        @functools.wraps(plain)
        def drawn(*args, **kwargs):
            if seeds:
                seeded[0] = seeded[0] or name == "setstate" or any(value is not None for value in (*args, *kwargs.values()))
            elif not seeded[0] and not _is_own(sys._getframe(1).f_code.co_filename):
                return getattr(apart, name)(*args, **kwargs)
            return plain(*args, **kwargs)

        drawn.__module__, drawn.__qualname__ = "random", name  # found again by pickle
        setattr(random, name, drawn)

    for name in random.__all__:
        if getattr(getattr(random, name), "__self__", None) is shared and name != "getstate":
            divided(name, seeds=name in ("seed", "setstate"))


def _give_to_secrets(entropy):
    import secrets

    plain = secrets.randbits

    def randbits(k):
        return entropy.integer("randbits", k) if _is_own(sys._getframe(1).f_code.co_filename) else plain(k)

    secrets.randbits = randbits


def _give_to_numpy(entropy, seeds):
    """What numpy seeds everything unseeded with, and the functions of the module that take a seed; RandomState and the bit
    generators are classes of C."""
    import functools

    import numpy

    numpy.random.bit_generator.randbits = lambda k: entropy.integer("randbits", k)
    numpy.random.seed()  # the shared generator was seeded when the module was imported

    def noting(function, name, source):
        @functools.wraps(function)
        def seeded(seed=None, *args, **kwargs):
            return function(seed if seed is None else seeds(source, seed), *args, **kwargs)

        setattr(numpy.random, name, seeded)

    given_states["numpy"] = numpy_generator()
    noting(numpy.random.seed, "seed", "numpy")
    noting(numpy.random.default_rng, "default_rng", "numpy.default_rng")


def _give_to_torch(entropy, seeds):
    """The functions of the module; torch.Generator is a class of C, whose seed() cannot be replaced."""
    import functools

    import torch

    plain_seed = torch.manual_seed

    def seed():
        value = entropy.integer("torch", 63)
        plain_seed(value)
        return value

    @functools.wraps(plain_seed)
    def manual_seed(seed):
        return plain_seed(seed if torch.compiler.is_compiling() else seeds("torch", seed))

    torch.seed = torch.random.seed = seed
    torch.manual_seed = torch.random.manual_seed = manual_seed
    torch.default_generator.manual_seed(entropy.integer("torch", 63))  # LibTorch seeded it from the system


def _give_to_the_program(entropy):
    plain = os.urandom

    def urandom(size):
        return entropy.bytes("urandom", size) if _is_own(sys._getframe(1).f_code.co_filename) else plain(size)

    os.urandom = urandom


_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGES = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))  # wherever they lie
_installed = None  # folders of the standard library and of installed packages, once somebody asks


def _is_own(file):
    """Whether code in `file` is the program's: nobody else's package."""
    global _installed
    if file.startswith("<frozen"):
        return False
    if _installed is None:
        _installed = _folders_of_others()
    return not file.startswith(_installed) and not any(part in file for part in _PACKAGES)


def _folders_of_others():
    """Where this Python has its library and what is installed for it; this package, which may lie anywhere."""
    import site
    import sysconfig  # loaded on first use: most processes never ask

    found = {_HERE, os.path.dirname(os.__file__), *site.getsitepackages(), site.getusersitepackages()}
    paths = sysconfig.get_paths()
    found |= {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found |= {os.path.realpath(path) for path in found}
    return tuple(os.path.join(path, "") for path in found)


def install(after_import):
    """`after_import(name, then)`: calls `then` when the module has been imported, now if it is there."""
    try:
        secret = bytes.fromhex(os.environ[VARIABLE])
    except (KeyError, ValueError):
        return
    entropy = Entropy(secret)
    seeds = Seeds(_folder(), lambda: entropy.name().replace("\0", "/"), _is_own)
    os.register_at_fork(before=entropy.about_to_fork, after_in_child=lambda: (entropy.forked(), seeds.forked()))
    _give_to_the_program(entropy)
    after_import("random", lambda: _give_to_random(entropy, seeds))
    after_import("secrets", lambda: _give_to_secrets(entropy))
    after_import("numpy", lambda: _give_to_numpy(entropy, seeds))
    after_import("torch", lambda: _give_to_torch(entropy, seeds))

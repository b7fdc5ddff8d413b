"""The shared library of this package, loaded when the first training event needs it."""
import os
import pathlib

import torch

from samestep import _entropy, _torch

LIBRARY = pathlib.Path(__file__).with_name("libsamestep_python.so")


def new_recording():
    """A fresh torch.classes.samestep.Recording. Raises ImportError where the library does not fit this torch."""
    if (mismatch := _torch.mismatch()) is not None:
        raise ImportError(mismatch)
    try:
        torch.classes.load_library(str(LIBRARY))
    except OSError as error:
        raise ImportError(f"{LIBRARY.name} does not fit torch {torch.__version__} ({error}); "
                          f"type in samestep's source folder: {_torch.INSTALL}") from None
    return torch.classes.samestep.Recording()


def say_hello(recording):
    """recording.open(), which looks for the socket in the environment, even where the program has cleared that, and for
    this process's place among others."""
    told = {_entropy.SOCKET_VARIABLE: _entropy.SOCKET, **_place()}
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        return recording.open()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _place():
    """Rank and world size as torch.distributed knows them, of a program that was started without a launcher's
    variables (torch.multiprocessing.spawn)."""
    distributed = torch.distributed
    if not distributed.is_available() or not distributed.is_initialized() or "RANK" in os.environ:
        return {}
    return {"RANK": str(distributed.get_rank()), "WORLD_SIZE": str(distributed.get_world_size())}

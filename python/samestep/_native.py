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
    """recording.open(), which looks for the socket in the environment, even where the program has cleared that."""
    now = os.environ.get(_entropy.SOCKET_VARIABLE)
    os.environ[_entropy.SOCKET_VARIABLE] = _entropy.SOCKET
    try:
        return recording.open()
    finally:
        if now is None:
            del os.environ[_entropy.SOCKET_VARIABLE]
        else:
            os.environ[_entropy.SOCKET_VARIABLE] = now

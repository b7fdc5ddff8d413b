"""The shared library of this package, loaded when the first training event needs it."""
import pathlib

import torch

LIBRARY = pathlib.Path(__file__).with_name("libsamestep_python.so")


def new_recording():
    """A fresh torch.classes.samestep.Recording. Raises ImportError where the library does not fit this torch."""
    try:
        torch.classes.load_library(str(LIBRARY))
    except OSError as error:
        raise ImportError(f"{LIBRARY.name} was built for another torch than {torch.__version__} ({error})") from None
    return torch.classes.samestep.Recording()

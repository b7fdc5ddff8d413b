"""Whether the torch at hand is the one that this package was built for: LibTorch has no stable binary interface."""
import sys

from samestep._built import TORCH

INSTALL = f"{sys.executable} -m pip install --no-deps --force-reinstall ."


def _release(version):
    """"2.14.1" of "2.14.1+cu130": builds of one release for a processor and for GPUs share the interface used here."""
    return str(version).partition("+")[0]


def mismatch():
    """One sentence that says what to type, or None. Imports nothing: a torch that is not loaded yet is not judged."""
    found = getattr(sys.modules.get("torch"), "__version__", None)
    if found is None or _release(found) == _release(TORCH):
        return None
    return (f"the package samestep of {sys.executable} was built for torch {TORCH}, this is torch {found}; "
            f"type in samestep's source folder: {INSTALL}")

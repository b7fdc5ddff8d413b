"""What every Python started under `samestep record` or `samestep replay` runs first.

The launcher puts this file's folder at the head of PYTHONPATH. It takes the folder off the module path again, runs the
sitecustomize that Python would have run without it, and, where a recorder waits, arranges that the samestep package is
asked when the program imports torch. It imports nothing but what Python has loaded already.
"""
import importlib.machinery
import importlib.util
import os
import sys


def _leave_the_path():
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if not entry or os.path.abspath(entry) != here]


def _run_the_users_own():
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


class _AfterImport:
    """A finder that calls `then` once the module `name` has been imported, by whoever imports it."""

    def __init__(self, name, then):
        self.name, self.then = name, then

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        run, then = spec.loader.exec_module, self.then

        def exec_module(module):
            run(module)
            try:
                then()
            except Exception as error:  # the program's own import must not fail for it
                sys.stderr.write(f"samestep: {type(error).__name__}: {error}\n")

        spec.loader.exec_module = exec_module
        return spec


def _start_recording():
    try:
        from samestep import _torch

        if (mismatch := _torch.mismatch()) is not None:
            raise ImportError(mismatch)
        from samestep import _hooks

        _hooks.install(_after_import)
    except Exception as error:  # whatever it is, the program goes on
        sys.stderr.write(f"samestep: {_reason(error)}; the training runs unrecorded\n")


def _reason(error):
    if isinstance(error, ModuleNotFoundError) and error.name == "samestep":
        return (f"{sys.executable} has no package samestep; type in samestep's source folder: "
                f"{sys.executable} -m pip install .")
    return f"{error}"


def _after_import(name, then):
    if name in sys.modules:
        then()
    else:
        sys.meta_path.insert(0, _AfterImport(name, then))


def _give_entropy():
    try:
        import samestep._entropy

        samestep._entropy.install(_after_import)
    except ImportError:
        pass  # said when torch is imported, if it ever is


_leave_the_path()
_run_the_users_own()
if os.environ.get("SAMESTEP_SOCKET"):
    _give_entropy()
    _after_import("torch", _start_recording)

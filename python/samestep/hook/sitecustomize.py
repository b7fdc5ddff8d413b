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
    """A finder that calls `then` once the module `name` has been imported, by whoever imports it. Many only look for a
    module's spec: it stays until the module has run."""

    def __init__(self, name, then):
        self.name, self.then, self.looking = name, then, False

    def find_spec(self, name, path=None, target=None):
        if name != self.name or self.looking:
            return None
        self.looking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.looking = False
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            self.imported()

        spec.loader.exec_module = exec_module
        return spec

    def imported(self):
        if self not in sys.meta_path:
            return
        sys.meta_path.remove(self)
        try:
            self.then()
        except Exception as error:  # the program's own import must not fail for it
            sys.stderr.write(f"samestep: {type(error).__name__}: {error}\n")


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


def _recognise_trainer():
    hooks = sys.modules.get("samestep._hooks")
    if hooks is not None and hooks.moments is not None:
        hooks.recognise_trainers()


_leave_the_path()
recorded = bool(os.environ.get("SAMESTEP_SOCKET"))
try:
    _run_the_users_own()
finally:  # Python tolerates one that raises
    if recorded:
        _give_entropy()
        _after_import("torch", _start_recording)
        _after_import("transformers.trainer", _recognise_trainer)  # it imports torch itself

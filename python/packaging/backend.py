"""What pip asks when it builds the wheel: scikit-build-core, told first where the torch is.

LibTorch has no stable binary interface, so the wheel is built against the torch of the environment that it goes into.
With `--no-build-isolation` that torch is importable; in pip's isolated build it is not, but pip runs the build with the
interpreter it installs for, and that one, asked without pip's variables, names it. Where there is none the build ends in
one line before anything is downloaded or compiled.
"""
import os
import subprocess
import sys

from scikit_build_core import build as _build
from scikit_build_core.build import *  # noqa: F403 - what is not named below is scikit-build-core's own

# What pip sets to hide the environment's packages from an isolated build.
_ISOLATION = ("PYTHONPATH", "PYTHONNOUSERSITE")
_QUESTION = """
import importlib.metadata, importlib.util, pathlib
print(pathlib.Path(importlib.util.find_spec('torch').origin).parent)
print(importlib.metadata.version('torch'))
"""


def torch_of(python):
    """Folder and version of the torch that `python` has, inside the isolation or outside of it; None where it has none."""
    outside = {name: value for name, value in os.environ.items() if name not in _ISOLATION}
    for environment in (os.environ, outside):
        asked = subprocess.run([python, "-c", _QUESTION], env=environment, capture_output=True, text=True)
        if asked.returncode == 0:
            return asked.stdout.split("\n")[:2]
    return None


def _with_torch(settings):
    """`settings` for scikit-build-core, with the torch to link."""
    settings = dict(settings or {})
    if settings.get("cmake.define.SAMESTEP_PREBUILT"):
        return settings  # nothing is compiled
    python = os.environ.get("SAMESTEP_PYTHON") or sys.executable
    try:
        found = torch_of(python)
    except OSError as error:
        raise SystemExit(f"samestep: SAMESTEP_PYTHON: {error}") from None
    if found is None:
        raise SystemExit(
            f"samestep: {python} has no torch, and the wheel is built against the one it will run on: install torch "
            "(2.11 to 2.15) there first, or type SAMESTEP_PYTHON=/path/to/python/with/torch pip install .")
    settings["cmake.define.SAMESTEP_PYTHON"] = python
    settings["cmake.define.SAMESTEP_TORCH_DIR"], settings["cmake.define.SAMESTEP_TORCH_VERSION"] = found
    return settings


def get_requires_for_build_wheel(config_settings=None):
    return _build.get_requires_for_build_wheel(_with_torch(config_settings))


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return _build.build_wheel(wheel_directory, _with_torch(config_settings), metadata_directory)

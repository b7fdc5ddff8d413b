"""Samestep for PyTorch: records a training run, replays it bit for bit, names where two runs part.

A script needs no edit: `samestep record -- python train.py`. Loops that the hooks cannot see, and loops that a replay
may enter in the middle, say what they do: attach, step, steps, state, batches. A notebook starts its recorder with record.
"""
import sys as _sys

from samestep import _torch
from samestep._batches import batches
from samestep._explicit import attach, state, step, steps
from samestep._recorder import record

__all__ = ["attach", "batches", "record", "state", "step", "steps"]

if (_mismatch := _torch.mismatch()) is not None:
    _sys.stderr.write(f"samestep: {_mismatch}\n")

"""Samestep for PyTorch: records a training run, replays it bit for bit, names where two runs part.

A script needs no edit: `samestep record -- python train.py`.
"""
import sys as _sys

from samestep import _torch

if (_mismatch := _torch.mismatch()) is not None:
    _sys.stderr.write(f"samestep: {_mismatch}\n")

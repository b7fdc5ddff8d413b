"""Samestep for PyTorch: records a training run, replays it bit for bit, names where two runs part.

A script needs no edit: `samestep record -- python train.py`.
"""

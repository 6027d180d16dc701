"""Scores of a predicted mask, pinned to the official KiTS numbers. Nothing here imports MindSpore.

``dice``, ``surface`` and ``surfels`` measure two binary masks; ``regions`` says which labels make which region;
``case`` scores one case, ``fold`` gathers cases, ``evaluate`` scores a folder of masks against a folder of truth.
"""

"""Scores of predicted masks, tested against the official KiTS numbers. Nothing here imports MindSpore.

``dice``, ``surface`` and ``surfels`` compare two binary masks; ``regions`` defines the labels of each region; ``case``
scores one case; ``summary`` combines cases; ``pairing`` and ``mask_folder`` score a folder of masks against true masks.
"""

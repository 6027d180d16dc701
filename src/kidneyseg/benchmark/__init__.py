"""Benchmarks: speed of networks and whole predictions against PyTorch and MONAI, and nnU-Net's method in training."""

"""nnU-Net's method with MONAI's DynUNet in PyTorch: the peer in training. Start at ``worker.py``.

``plan`` decides spacing, patch and network from the training cases, ``images`` resamples and normalises, ``patches``
draws and augments, ``network`` is the network with its loss, ``speed`` picks the fastest way to compute it,
``training`` trains until its time is over, ``prediction`` segments a scan.

Rules and numbers are those of nnU-Net v2 (Isensee et al. 2021, Nature Methods 18:203; github.com/MIC-DKFZ/nnUNet). Its
limit of GPU memory becomes a limit of voxels per patch, and its training ends by the clock.
"""

"""nnU-Net's method with MONAI's DynUNet in PyTorch, for comparison in training. Start reading at ``worker.py``.

``plan`` computes spacing, patch and network from the training cases, ``images`` resamples and normalises, ``patches``
draws and augments, ``network`` has the network and its loss, ``speed`` selects the fastest layout and precision,
``training`` trains for a given time, ``prediction`` segments a scan.

Rules and numbers are those of nnU-Net v2 (Isensee et al. 2021, Nature Methods 18:203; github.com/MIC-DKFZ/nnUNet),
except that the limit of GPU memory is a limit of voxels per patch, and the training ends after a given time.
"""

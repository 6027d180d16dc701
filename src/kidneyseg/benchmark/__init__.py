"""The speed of a whole prediction, from NIfTI to mask, beside the same networks in PyTorch under MONAI."""

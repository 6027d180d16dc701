"""A CT as a numpy array with its geometry. Nothing here imports MindSpore."""

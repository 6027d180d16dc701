"""What training leaves in WORK/fold<K>: recipe, checkpoints, log of epochs, record of the run."""

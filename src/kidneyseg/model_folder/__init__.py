"""The contents of WORK/fold<K> after training: recipe, checkpoints, log of epochs, record of the run."""

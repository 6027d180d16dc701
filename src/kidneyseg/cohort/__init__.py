"""What a data folder holds: scans with their masks, data sets, fingerprint and folds."""

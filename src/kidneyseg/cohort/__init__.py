"""Data folders: scans with their masks, data sets, fingerprint and folds."""

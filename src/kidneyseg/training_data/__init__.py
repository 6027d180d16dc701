"""Training data: samples, MindRecord files, sampling, augmentation and batches."""

"""From a cohort to batches: samples, MindRecord files, sampling and augmentation."""

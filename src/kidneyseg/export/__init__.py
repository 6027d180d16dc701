"""Export of trained stages to files for other runtimes, with the metadata that they need."""

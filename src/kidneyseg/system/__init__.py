"""What every package may use of the operating system: files, cache, processes, cores, names and environment."""

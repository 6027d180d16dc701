"""Functions of the operating system for all packages: files, cache, processes, cores, names and environment."""

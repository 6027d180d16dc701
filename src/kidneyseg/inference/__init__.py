"""From a scan to a mask: windows, slices, the cascade of stages, and the runtimes that run their networks."""

"""Trained stages as files that other runtimes load, and what must travel with them."""

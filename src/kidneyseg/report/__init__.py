"""Scores as tables, results as pictures, and both as one HTML page. Nothing here imports MindSpore."""

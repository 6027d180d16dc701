"""Reports: scores as tables, results as pictures, and both in one HTML page. Nothing here imports MindSpore."""

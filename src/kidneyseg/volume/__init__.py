"""CT volumes as NumPy arrays with their geometry. Nothing here imports MindSpore."""

"""Training: one loop for every stage of every recipe. Start reading at `stage.py`, then `loop.py` and `step.py`."""

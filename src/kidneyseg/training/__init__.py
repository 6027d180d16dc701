"""Training: one loop for all stages of all recipes. Start at ``train_stage.py``, then ``loop.py`` and ``step.py``."""

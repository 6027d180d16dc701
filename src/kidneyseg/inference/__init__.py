"""From a scan to a mask. Start at ``cascade.py``, then ``stage.py``."""

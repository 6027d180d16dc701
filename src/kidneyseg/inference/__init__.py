"""Inference: from a scan to a mask. Start reading at ``cascade.py``, then ``stage.py``."""

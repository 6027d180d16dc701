"""A cascade whose networks run in a program of their own, `ascend310_infer`: no MindSpore needed in Python."""

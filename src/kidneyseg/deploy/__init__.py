"""Deployment of a cascade whose networks run in the C++ program ``ascend310_infer``, without MindSpore in Python."""

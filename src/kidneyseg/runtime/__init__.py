"""Runtimes that compute a network: MindSpore or OpenVINO, from a checkpoint or from an exported graph."""

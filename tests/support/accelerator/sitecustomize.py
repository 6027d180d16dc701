"""On PYTHONPATH, with PRETEND_DEVICE=Ascend or GPU: MindSpore says that it has this device, and computes on the CPU.

So the accelerator's path runs where there is none: its choice of device, precision, loss scaling, deterministic
kernels and MindSpore's own operators, in a process and in all that it starts.
"""

import importlib.abc
import importlib.machinery
import os
import sys

TARGET = os.environ.get("PRETEND_DEVICE")


def pretend(ms):
    """Patch the module ``mindspore``."""
    set_device, get_context, chosen = ms.set_device, ms.get_context, []

    def choose(target, *args):
        if target != TARGET:
            set_device(target, *args)
            return
        set_device("CPU")
        chosen.append(target)

    ms.hal.is_available = lambda target: target == TARGET
    ms.set_device = choose
    ms.get_context = lambda key: TARGET if key == "device_target" and chosen else get_context(key)


class Hook(importlib.abc.MetaPathFinder):
    """Patches ``mindspore`` once it is imported."""

    def find_spec(self, name, path=None, target=None):
        if name != "mindspore":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        load = spec.loader.exec_module

        def load_and_pretend(module):
            load(module)
            pretend(module)

        spec.loader.exec_module = load_and_pretend
        return spec


if TARGET:
    sys.meta_path.insert(0, Hook())

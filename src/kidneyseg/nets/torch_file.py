"""Reads the tensors of a file written by `torch.save`, without PyTorch and without running code from the file.

Such a file is a pickle that describes tensors, and their values apart from it: in an archive (zip, PyTorch 1.6 and
later) or behind it in the same file (before). A pickle may call any function there is; here it may only build
dictionaries and tensors, anything else is refused.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kidneyseg.errors import InputError

STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


@dataclass(frozen=True)
class Storage:
    """Values that tensors lie in: numbers of type `dtype` under the name `key`."""

    dtype: np.dtype
    key: str


@dataclass(frozen=True)
class View:
    """A tensor as the pickle describes it: where in its storage its values lie; offset and strides count values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def values(self, storage: np.ndarray) -> np.ndarray:
        """The tensor's values, copied. Raises ValueError where it reaches beyond its storage."""
        last = self.offset + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides))
        if min((self.offset, *self.shape, *self.strides)) < 0 or (0 not in self.shape and last >= storage.size):
            raise ValueError("a tensor reaches beyond the file's values")
        strides = [stride * storage.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(storage[self.offset :], self.shape, strides).copy()


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Returns the tensors of a state dict saved by `torch.save`, by name.

    Raises InputError: no such file, a damaged one, or one that holds something else than tensors by name.
    """
    path = Path(path)
    try:
        views, storages = _read_archive(path) if zipfile.is_zipfile(path) else _read_legacy(path)
        return {str(name): view.values(storages[view.storage.key]) for name, view in views.items()}
    except OSError as error:
        raise InputError(
            path,
            expected="weights saved by PyTorch",
            found=error.strerror or str(error),
            remedy="Give the path of a state dict, for example torchvision's resnet34-*.pth",
        ) from None
    except Exception as error:  # a damaged pickle raises whatever it trips over
        raise InputError(
            path,
            expected="a state dict saved by PyTorch (torch.save)",
            found=" ".join(str(error).split())[:160] or type(error).__name__,
            remedy="Download it again, or save model.state_dict()",
        ) from None


def _read_archive(path: Path) -> tuple[dict[str, View], dict[str, np.ndarray]]:
    """The pickled dictionary, and the storages of its tensors by key: each is a file of the archive."""
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError("an archive without data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        with archive.open(pickles[0]) as file:
            views = _Unpickler(file).load()
        dtypes = _dtypes(views)
        return views, {key: np.frombuffer(archive.read(f"{folder}data/{key}"), dtype) for key, dtype in dtypes.items()}


def _read_legacy(path: Path) -> tuple[dict[str, View], dict[str, np.ndarray]]:
    """As `_read_archive`: magic number, version, platform, dictionary and keys are pickles one after the other, then
    each storage in the keys' order as its length (int64) and values."""
    with open(path, "rb") as file:
        if _Unpickler(file).load() != LEGACY_MAGIC:
            raise ValueError("another pickle")
        for _ in ("version", "platform"):
            _Unpickler(file).load()
        views = _Unpickler(file).load()
        dtypes = _dtypes(views)
        keys = _Unpickler(file).load()
        return views, {key: _read_storage(file, dtypes[key]) for key in keys}


def _read_storage(file: BinaryIO, dtype: np.dtype) -> np.ndarray:
    count = int.from_bytes(file.read(8), "little")
    return np.frombuffer(file.read(count * dtype.itemsize), dtype, count)


def _dtypes(views: Any) -> dict[str, np.dtype]:
    """The types of the storages of a dictionary of tensors, by key. Raises ValueError if `views` is anything else."""
    if not isinstance(views, dict) or not all(isinstance(view, View) for view in views.values()):
        raise ValueError(f"a {type(views).__name__} that holds more than tensors")
    return {view.storage.key: view.storage.dtype for view in views.values()}


class _Unpickler(pickle.Unpickler):
    """Builds dictionaries of `View`, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGES:
            return np.dtype(STORAGES[name])
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor"): View,
            ("torch._utils", "_rebuild_tensor_v2"): _view,
            ("torch._utils", "_rebuild_parameter"): _data,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no tensor needs")
        return known[module, name]

    def persistent_load(self, pid: tuple) -> Storage:
        _, dtype, key, _, _, *part = pid
        if part not in ([], [None]):
            raise pickle.UnpicklingError("it has storages that share their values")
        return Storage(dtype, str(key))


def _view(storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> View:
    return View(storage, offset, shape, strides)


def _data(data: View, *_: Any) -> View:
    return data

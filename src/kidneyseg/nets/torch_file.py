"""Reading of the tensors in a file of ``torch.save``, without PyTorch and without running code from the file.

Such a file has a pickle that describes the tensors, and separately their values: in an archive (zip, PyTorch 1.6 and
later) or after the pickle in the same file (earlier versions). A pickle can call any function; here it can only build
dictionaries and tensors, everything else is refused.
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
    """The memory of tensors: numbers of type ``dtype`` with the name ``key``."""

    dtype: np.dtype
    key: str


@dataclass(frozen=True)
class View:
    """A tensor as described in the pickle: the position of its values in the storage; offset and strides in values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def values(self, storage: np.ndarray) -> np.ndarray:
        """Copy the tensor's values. Raises ValueError if it extends beyond its storage."""
        last = self.offset + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides))
        if min((self.offset, *self.shape, *self.strides)) < 0 or (0 not in self.shape and last >= storage.size):
            raise ValueError("a tensor extends beyond the values in the file")
        strides = [stride * storage.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(storage[self.offset :], self.shape, strides).copy()


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Read name -> tensor from a state dict that was saved by ``torch.save``.

    Raises:
        InputError: no such file, a damaged one, or one with other contents than named tensors.
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
    except Exception as error:  # a damaged pickle can raise any error
        raise InputError(
            path,
            expected="a state dict saved by PyTorch (torch.save)",
            found=" ".join(str(error).split())[:160] or type(error).__name__,
            remedy="Download it again, or save model.state_dict()",
        ) from None


def _read_archive(path: Path) -> tuple[dict[str, View], dict[str, np.ndarray]]:
    """Read the pickled dictionary, and key -> storage of its tensors: each is a file of the archive."""
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
    """Read the same as ``_read_archive`` from a file of the earlier format.

    Magic number, version, platform, dictionary and keys are pickles, one after the other. Then each storage follows in
    the order of the keys: its length (int64) and its values.
    """
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
    """Return key -> type of the storages of a dictionary of tensors. Raises ValueError for anything else."""
    if not isinstance(views, dict) or not all(isinstance(view, View) for view in views.values()):
        raise ValueError(f"a {type(views).__name__} with other contents than tensors")
    return {view.storage.key: view.storage.dtype for view in views.values()}


class _Unpickler(pickle.Unpickler):
    """An unpickler that builds only dictionaries of ``View``."""

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
            raise pickle.UnpicklingError(f"it calls {module}.{name}, which no tensor needs")
        return known[module, name]

    def persistent_load(self, pid: tuple) -> Storage:
        _, dtype, key, _, _, *part = pid
        if part not in ([], [None]):
            raise pickle.UnpicklingError("it has storages with shared values")
        return Storage(dtype, str(key))


def _view(storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> View:
    return View(storage, offset, shape, strides)


def _data(data: View, *_: Any) -> View:
    return data

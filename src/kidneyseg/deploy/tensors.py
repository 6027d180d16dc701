"""Files of images and probabilities, which ``ascend310_infer`` reads and writes, and their lists (manifests).

A manifest has one line per tensor (without batch axis): SHA-256 of the file, shape such as 1x80x160x160, name relative
to the manifest's folder. The files contain float32 (images for graphs with uint8 input: uint8), little endian, with the
last axis fastest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kidneyseg.errors import InputError
from kidneyseg.system.config_files import read_text
from kidneyseg.system.files import write_text

MANIFEST = "manifest.txt"
FLOAT = "<f4"
DTYPES = {"float32": FLOAT, "uint8": "u1"}  # number format of the graph -> format in files


@dataclass(frozen=True)
class Tensor:
    """One file of a manifest. ``name`` is CASE/NUMBER.bin."""

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def case(self) -> str:
        """Name of its case."""
        return self.name.rpartition("/")[0]


def write_manifest(folder: Path, tensors: Iterable[Tensor]) -> None:
    """Write the manifest of ``tensors`` to ``folder``, atomically."""
    lines = [f"{tensor.sha256} {'x'.join(map(str, tensor.shape))} {tensor.name}\n" for tensor in tensors]
    write_text(folder / MANIFEST, "# SHA-256, shape, file\n" + "".join(lines))


def read_manifest(folder: Path, remedy: str) -> dict[str, Tensor]:
    """Read the manifest in ``folder``: name -> tensor, in order. Raises InputError, with ``remedy``."""
    path = folder / MANIFEST
    lines = read_text(path, expected="a list of tensors", remedy=remedy).split("\n")
    tensors = {}
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        digest, _, rest = line.partition(" ")
        shape, _, name = rest.partition(" ")
        if not (name and re.fullmatch("[0-9]{1,9}(x[0-9]{1,9})*", shape)):
            raise InputError(f"{path}, line {number}", expected="SHA256 SHAPE NAME", found=line[:80], remedy=remedy)
        tensors[name] = Tensor(name, tuple(int(length) for length in shape.split("x")), digest)
    return tensors


class Recorder:
    """A :class:`kidneyseg.runtime.base.Runtime` that writes the images of a case to files and returns background.

    Args:
        folder: folder for the files.
        case: name of the case.
        classes: number of classes, the background included.
        dtype: number format of the graph's input.

    Attributes:
        tensors: the files, in order.
    """

    def __init__(self, folder: Path, case: str, classes: int, dtype: str = "float32") -> None:
        self.folder, self.case, self.classes, self.dtype = folder, case, classes, DTYPES[dtype]
        self.tensors: list[Tensor] = []
        (folder / case).mkdir(parents=True, exist_ok=True)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        for image in images:
            name = f"{self.case}/{len(self.tensors):05d}.bin"
            content = image.astype(self.dtype).tobytes()
            (self.folder / name).write_bytes(content)
            self.tensors.append(Tensor(name, image.shape, hashlib.sha256(content).hexdigest()))
        answer = np.zeros((len(images), self.classes, *images.shape[2:]), np.float32)
        answer[:, 0] = 1
        return answer


class Replay:
    """A :class:`kidneyseg.runtime.base.Runtime` that reads the probabilities of a case's images from files.

    Images are identified by their content, because their order may differ from that of the recorder.

    Args:
        images: the files of a :class:`Recorder` for the case.
        folder: folder of the results.
        answers: name of the image -> result file.
        dtype: as for the recorder.

    Raises:
        InputError: when called with an image that was not recorded, or whose result is missing or damaged.
    """

    def __init__(
        self, images: Iterable[Tensor], folder: Path, answers: Mapping[str, Tensor], dtype: str = "float32"
    ) -> None:
        self._dtype = DTYPES[dtype]
        self._images = {image.sha256: image for image in images}
        self._folder, self._answers = folder, answers

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return np.stack([self._answer(image) for image in images])

    def _answer(self, image: np.ndarray) -> np.ndarray:
        recorded = self._images.get(hashlib.sha256(image.astype(self._dtype).tobytes()).hexdigest())
        if recorded is None:
            raise InputError(
                "preprocessed tensors",
                expected="those of this scan and recipe",
                found="those of another scan or recipe",
                remedy="Preprocess again: NEED_PREPROCESS y",
            )
        answer = self._answers.get(recorded.name)
        if answer is None:
            raise InputError(
                recorded.name,
                expected="a result of the network",
                found="none",
                remedy="See the inference program's messages about this file",
            )
        content = (self._folder / answer.name).read_bytes()
        if hashlib.sha256(content).hexdigest() != answer.sha256:
            raise InputError(
                self._folder / answer.name,
                expected=f"SHA-256 {answer.sha256}",
                found="another one",
                remedy="Run the inference again",
            )
        return np.frombuffer(content, FLOAT).reshape(answer.shape)

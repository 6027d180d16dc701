"""Training samples in MindRecord files: one file per case and stage.

A row has ``image`` and ``label`` (bytes of uint8 arrays), ``case``, ``index`` (its number in the file), ``foreground``
(1 if it contains any target), ``roi`` and ``start`` (position of the crop, see :class:`Sample`).

Slices are stored once, even for a stage whose input is a stack of slices: a stack is read as several neighbouring rows.
This needs no extra space on disk, but each sample reads as many rows, labels included, as the stack has slices.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import mindspore.dataset as ds
import numpy as np
from mindspore.mindrecord import FileWriter

from kidneyseg.errors import InputError
from kidneyseg.system.config_files import parse_json
from kidneyseg.system.digest import sha256
from kidneyseg.system.failures import cause
from kidneyseg.system.files import use_default_mode
from kidneyseg.training_data.samples import Sample
from kidneyseg.volume.axes import PerAxis, per_axis

SCHEMA = {
    "image": {"type": "bytes"},
    "label": {"type": "bytes"},
    "case": {"type": "string"},
    "index": {"type": "int32"},
    "foreground": {"type": "int32"},
    "roi": {"type": "int32"},
    "start": {"type": "int32", "shape": [3]},
}
HEADER_BYTES = 1 << 19  # the default of 16 MiB per file is larger than the data of small cases
MIN_PAGE_BYTES = 1 << 20
MAX_PAGE_BYTES = 1 << 28  # limit of MindRecord


class Record(TypedDict):
    """A row as it is read; ``image`` and ``label`` are uint8, ``foreground`` is 0 or 1."""

    image: np.ndarray
    label: np.ndarray
    case: str
    index: int
    foreground: int
    roi: int
    start: PerAxis[int]


def write_records(path: Path, case: str, samples: Iterable[Sample]) -> list[bool]:
    """Write ``samples`` one by one as MindRecord, in the files ``path`` and ``path``.db.

    MindRecord stores the file's name inside the file: rename its folder, but never the file.

    Returns:
        The foreground flags of the samples, in the order of the rows. Without samples no file is written.
    """
    writer: FileWriter | None = None
    foreground: list[bool] = []
    for index, sample in enumerate(samples):
        if writer is None:
            writer = FileWriter(str(path), shard_num=1, overwrite=True)
            writer.set_header_size(HEADER_BYTES)
            writer.set_page_size(_page_bytes(2 * sample.image.size))
            writer.add_schema(SCHEMA, "kidneyseg training samples")
        foreground.append(sample.foreground)
        writer.write_raw_data(
            [
                {
                    "image": sample.image.tobytes(),
                    "label": sample.label.tobytes(),
                    "case": case,
                    "index": index,
                    "foreground": int(sample.foreground),
                    "roi": sample.roi,
                    "start": np.array(sample.start, np.int32),
                }
            ]
        )
    if writer is not None:
        writer.commit()
        for file in (path, path.with_name(f"{path.name}.db")):
            use_default_mode(file)
    return foreground


def read_records(paths: Sequence[Path], shape: Sequence[int], rows: Sequence[int] | None = None) -> Generator[Record]:
    """Read rows of one or several files, prefetched by MindSpore's data engine.

    Args:
        paths: MindRecord files; their rows are numbered consecutively in this order.
        shape: shape of every image and label.
        rows: numbers of the rows to read, in this order, repeats allowed; None: all rows in order.

    Yields:
        image, label: uint8 of ``shape``, read-only; case, index, foreground, roi, start as written.

    Raises:
        InputError: a file is missing or broken.
    """
    require_records(paths)
    names = [str(path) for path in paths]
    try:
        count = ds.MindDataset(names, shuffle=False).get_dataset_size()
        wanted = range(count) if rows is None else rows
        for first in range(0, len(wanted), count):  # MindDataset cannot read more rows at a time than the files have
            for row in _read(names, wanted[first : first + count]):
                yield _row(row, shape)
    except RuntimeError as error:
        raise InputError(
            paths[0].parent.parent,
            expected="readable MindRecord files",
            found=cause(error),
            remedy="Delete the broken case's folder and run kidneyseg prepare again",
        ) from error


def require_records(paths: Sequence[Path]) -> None:
    """Raise InputError if a file is missing or truncated, which can crash MindSpore's reader."""
    for path in paths:
        found = "no such file" if not path.is_file() else None if _is_whole(path) else "a broken MindRecord file"
        if found:
            raise InputError(
                path,
                expected="prepared samples",
                found=found,
                remedy=f"Delete {path.parent} and run kidneyseg prepare again",
            )


def record_digests(path: Path) -> dict[str, str]:
    """Return name -> SHA-256 of a MindRecord file and its .db file; MindRecord itself has no checksum."""
    return {file.name: sha256(file) for file in (path, path.with_name(f"{path.name}.db")) if file.is_file()}


def require_unchanged(path: Path, digests: Mapping[str, str]) -> None:
    """Raise InputError if the files of ``path`` are broken or do not match ``digests``, if there are any."""
    require_records([path])
    if digests and record_digests(path) != digests:
        raise InputError(
            path,
            expected="the samples that kidneyseg prepare wrote",
            found="a file with another SHA-256",
            remedy=f"Delete {path.parent} and run kidneyseg prepare again",
        )


def _is_whole(path: Path) -> bool:
    """Tell whether the file reaches the end of the last page in its header (a length of 8 bytes, then JSON)."""
    try:
        with open(path, "rb") as file:
            header = parse_json(file.read(int.from_bytes(file.read(8), "little")), dict[str, Any])
        ends = [page["page_id"] * header["page_size"] + page["page_size"] for page in header["page"]]
        return path.stat().st_size >= header["header_size"] + max(ends)
    except (ValueError, KeyError, TypeError, MemoryError, OverflowError):
        return False


def _read(names: list[str], rows: Sequence[int]) -> Iterator[dict[str, np.ndarray]]:
    sampler = ds.SubsetSampler([int(row) for row in rows])
    data = ds.MindDataset(names, sampler=sampler, num_parallel_workers=1)
    found = data.create_dict_iterator(num_epochs=1, output_numpy=True)
    try:
        yield from found
    finally:
        found.stop()


def _row(row: dict[str, np.ndarray], shape: Sequence[int]) -> Record:
    return {
        "image": row["image"].view(np.uint8).reshape(shape),
        "label": row["label"].view(np.uint8).reshape(shape),
        "case": str(row["case"]),
        "index": int(row["index"]),
        "foreground": int(row["foreground"]),
        "roi": int(row["roi"]),
        "start": per_axis(int(n) for n in row["start"]),
    }


def _page_bytes(row_bytes: int) -> int:
    """Return a page size (a power of two) that holds at least two rows of ``row_bytes`` with little unused space."""
    page = MIN_PAGE_BYTES
    while page < min(2 * row_bytes + (1 << 16), MAX_PAGE_BYTES):
        page *= 2
    return page

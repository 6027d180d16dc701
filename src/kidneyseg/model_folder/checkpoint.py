"""Checkpoints: written atomically, and checked for missing and unknown parameters when they are read.

``best.ckpt`` contains the network's parameters under their own names. ``last.ckpt`` also contains all that is needed to
continue the training: the optimiser's parameters (prefix ``optimizer.``), the loss scale (``scaler.``) and, with
hard-example mining, the losses of the samples (``sampler.``). Both contain a ``TrainingState``. The order of the data
follows from it and needs no state of its own.

Both also contain a SHA-256 of all entries, because MindSpore does not check its own CRC if the end of the file, where
the CRC is, is damaged. Checkpoints of earlier versions have no SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import amp, nn

from kidneyseg.errors import InputError
from kidneyseg.system.files import use_default_mode

PROGRESS = "progress"  # entry with a TrainingState as JSON
DIGEST = "digest"  # entry with the SHA-256 of all other entries
OPTIMIZER, SCALER, SAMPLER = PREFIXES = "optimizer.", "scaler.", "sampler."


@dataclass
class TrainingState:
    """Progress of a training.

    Attributes:
        epoch: current epoch, from 0.
        step: number of finished steps in this epoch.
        ranks: number of processes.
        loss_sum: sum of the losses of these steps.
        seconds: time of these steps.
        best: best validation score so far; None before the first validation.
        best_epoch: epoch of this score; None before the first validation.
    """

    epoch: int = 0
    step: int = 0
    ranks: int = 1
    loss_sum: float = 0.0
    seconds: float = 0.0
    best: float | None = None
    best_epoch: int | None = None


def save_weights(path: Path, network: nn.Cell, progress: TrainingState) -> None:
    """Write the network's parameters and ``progress``."""
    _write(path, network.parameters_dict(), progress)


def save_training(
    path: Path,
    network: nn.Cell,
    optimizer: nn.Optimizer,
    scaler: amp.DynamicLossScaler,
    progress: TrainingState,
    losses: np.ndarray | None = None,
) -> None:
    """Write all that is needed to continue the training from ``progress``; ``losses`` is a ``LossTable.state``."""
    _write(path, _training_state(network, optimizer, scaler, losses), progress)


def load_weights(network: nn.Cell, path: str | Path) -> TrainingState:
    """Load the parameters of a checkpoint into ``network``.

    Raises:
        InputError: no such file, a damaged one, or parameters that are missing, unknown or of another shape; the
            network is then unchanged.
    """
    entries, progress = _read(path)
    entries = {name: value for name, value in entries.items() if not name.startswith(PREFIXES)}
    _assign(network.parameters_dict(), entries, path)
    return progress


def load_training(
    path: str | Path,
    network: nn.Cell,
    optimizer: nn.Optimizer,
    scaler: amp.DynamicLossScaler,
    losses: np.ndarray | None = None,
) -> TrainingState:
    """Restore all arguments of ``save_training`` to their saved state. Raises InputError as ``load_weights``."""
    entries, progress = _read(path)
    wanted = _training_state(network, optimizer, scaler, losses)
    _assign(wanted, entries, path)
    if losses is not None:
        losses[...] = entries[f"{SAMPLER}losses"].asnumpy()
    return progress


def sweep(folder: Path) -> None:
    """Delete incomplete checkpoints of killed runs in ``folder``."""
    for partial in folder.glob(".*.partial.ckpt"):
        partial.unlink()


def _training_state(
    network: nn.Cell, optimizer: nn.Optimizer, scaler: amp.DynamicLossScaler, losses: np.ndarray | None
) -> dict[str, ms.Parameter]:
    """Collect name in the file -> parameter: weights, the optimiser's state and learning rate, loss scale, losses."""
    weights = {id(parameter) for parameter in network.get_parameters()}
    state = dict(network.parameters_dict())
    state |= {OPTIMIZER + p.name: p for p in optimizer.get_parameters() if id(p) not in weights}
    state |= {f"{SCALER}scale_value": scaler.scale_value, f"{SCALER}counter": scaler.counter}
    if losses is not None:
        state[f"{SAMPLER}losses"] = ms.Parameter(ms.Tensor(losses))
    return state


def _write(path: Path, parameters: dict[str, ms.Parameter], progress: TrainingState) -> None:
    entries = [{"name": name, "data": parameter} for name, parameter in parameters.items()]
    partial = path.with_name(f".{path.stem}.partial.ckpt")
    noted = json.dumps(asdict(progress))
    ms.save_checkpoint(
        entries, str(partial), append_dict={PROGRESS: noted, DIGEST: _digest(parameters, noted)}, crc_check=True
    )
    use_default_mode(partial)
    with open(partial, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def _read(path: str | Path) -> tuple[dict[str, ms.Parameter], TrainingState]:
    path = Path(path)
    if not path.is_file():
        raise InputError(path, expected="a checkpoint", found="no such file", remedy="Train the stage first")
    try:
        if path.stat().st_size == 0:
            raise ValueError("an empty file")
        entries = ms.load_checkpoint(str(path), crc_check=True)
        digest, noted = entries.pop(DIGEST, None), str(entries.pop(PROGRESS))
        if digest is not None and str(digest) != _digest(entries, noted):
            raise ValueError("its content does not match its SHA-256")
        progress = TrainingState(**json.loads(noted))
    except KeyError:
        raise InputError(
            path,
            expected="a checkpoint of kidneyseg",
            found=f"one without the entry {PROGRESS!r}",
            remedy="Use best.ckpt or last.ckpt of `kidneyseg train`",
        ) from None
    except Exception as error:  # MindSpore's parser raises many types of errors
        found = " ".join(str(error).split())[:160]
        raise InputError(
            path,
            expected="a whole checkpoint",
            found=f"a damaged file ({found})",
            remedy="Copy it again, or train again with --overwrite",
        ) from None
    return entries, progress


def _digest(parameters: dict[str, ms.Parameter], progress: str) -> str:
    """Compute the SHA-256 of ``progress`` and of names, types, shapes and values in the order of the names."""
    digest = hashlib.sha256(progress.encode())
    for name, parameter in sorted(parameters.items()):
        values = np.ascontiguousarray(parameter.asnumpy())
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(values.data)
    return digest.hexdigest()


def _assign(wanted: dict[str, ms.Parameter], entries: dict[str, ms.Parameter], path: str | Path) -> None:
    """Copy ``entries`` into the parameters ``wanted``, which must have the same names and shapes."""
    faults = [f"{name} is missing" for name in wanted.keys() - entries.keys()]
    faults += [f"{name} is surplus" for name in entries.keys() - wanted.keys()]
    faults += [
        f"{name} is {entries[name].shape}, not {parameter.shape}"
        for name, parameter in wanted.items()
        if name in entries and tuple(entries[name].shape) != tuple(parameter.shape)
    ]
    if faults:
        shown = "; ".join(sorted(faults)[:3]) + ("; ..." if len(faults) > 3 else "")
        raise InputError(
            path,
            expected="the parameters of this recipe's network",
            found=f"{len(faults)} faults: {shown}",
            remedy="Use the recipe that the checkpoint was trained with",
        )
    for name, parameter in wanted.items():
        parameter.set_data(ms.Tensor(entries[name].asnumpy(), parameter.dtype))

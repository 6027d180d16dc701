"""Checkpoints: written whole or not at all, and read back with every parameter accounted for.

``best.ckpt`` holds the network's parameters under their own names; ``last.ckpt`` also what training needs to go on: the
optimiser's parameters (prefix ``optimizer.``), the loss scale (``scaler.``) and, where hard examples are mined, the
samples' losses (``sampler.``). Both carry a `TrainingState`. Nothing else of the order of the data needs to be kept.

Both also carry a SHA-256 of all that: MindSpore's own CRC is not looked at when the end of the file, where it stands,
is damaged. Checkpoints of versions before it have none.
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

PROGRESS = "progress"  # the entry that holds a TrainingState as JSON
DIGEST = "digest"  # and the one with the SHA-256 of all others
OPTIMIZER, SCALER, SAMPLER = PREFIXES = "optimizer.", "scaler.", "sampler."


@dataclass
class TrainingState:
    """Where training stands: ``step`` steps of epoch ``epoch`` are done (both count from 0), by ``ranks`` processes.

    ``loss_sum`` adds up the losses of those steps and ``seconds`` the time they took; ``best`` is the best validation
    score so far and ``best_epoch`` its epoch (None before the first validation).
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
    """Write everything that training needs to go on from ``progress``; ``losses``: the state of a `LossTable`."""
    _write(path, _training_state(network, optimizer, scaler, losses), progress)


def load_weights(network: nn.Cell, path: str | Path) -> TrainingState:
    """Give ``network`` the parameters of a checkpoint.

    Raises:
        InputError: no such file, a damaged one, or parameters that are missing, surplus or of another shape; the
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
    """Bring all that `save_training` was given back to where it was then. Errors as of `load_weights`."""
    entries, progress = _read(path)
    wanted = _training_state(network, optimizer, scaler, losses)
    _assign(wanted, entries, path)
    if losses is not None:
        losses[...] = entries[f"{SAMPLER}losses"].asnumpy()
    return progress


def sweep(folder: Path) -> None:
    """Remove what a run that was killed while writing a checkpoint left in ``folder``."""
    for partial in folder.glob(".*.partial.ckpt"):
        partial.unlink()


def _training_state(
    network: nn.Cell, optimizer: nn.Optimizer, scaler: amp.DynamicLossScaler, losses: np.ndarray | None
) -> dict[str, ms.Parameter]:
    """By their names in the file: weights, the optimiser's moments, counters and learning rate, loss scale, losses."""
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
            raise ValueError("its content has another SHA-256 than it says")
        progress = TrainingState(**json.loads(noted))
    except KeyError:
        raise InputError(
            path,
            expected="a checkpoint of kidneyseg",
            found=f"one without the entry {PROGRESS!r}",
            remedy="Use best.ckpt or last.ckpt of `kidneyseg train`",
        ) from None
    except Exception as error:  # MindSpore raises whatever its parser trips over
        found = " ".join(str(error).split())[:160]
        raise InputError(
            path,
            expected="a whole checkpoint",
            found=f"a damaged file ({found})",
            remedy="Copy it again, or train again with --overwrite",
        ) from None
    return entries, progress


def _digest(parameters: dict[str, ms.Parameter], progress: str) -> str:
    """SHA-256 of names, types, shapes and values, in the order of the names, and of ``progress``."""
    digest = hashlib.sha256(progress.encode())
    for name, parameter in sorted(parameters.items()):
        values = np.ascontiguousarray(parameter.asnumpy())
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(values.data)
    return digest.hexdigest()


def _assign(wanted: dict[str, ms.Parameter], entries: dict[str, ms.Parameter], path: str | Path) -> None:
    """Copy ``entries`` into the parameters ``wanted``, which must be the same names and shapes."""
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

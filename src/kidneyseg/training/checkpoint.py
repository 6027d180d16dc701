"""Checkpoints: written whole or not at all, and read back with every parameter accounted for.

``best.ckpt`` holds the network's parameters under their own names; ``last.ckpt`` also what training needs to go on: the
optimiser's parameters (prefix ``optimizer.``) and the loss scale (``scaler.``). Both carry a `Progress`. The order of
the data needs no state: it is a pure function of seed, epoch and step.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import mindspore as ms
from mindspore import nn

from kidneyseg.atomic import use_default_mode
from kidneyseg.errors import InputError

PROGRESS = "progress"  # the entry that holds a Progress as JSON
OPTIMIZER, SCALER = "optimizer.", "scaler."


@dataclass
class Progress:
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


def save_weights(path: Path, network: nn.Cell, progress: Progress) -> None:
    """Write the network's parameters and ``progress``."""
    _write(path, _named("", network.parameters_dict()), progress)


def save_training(path: Path, network: nn.Cell, optimizer: nn.Optimizer, scaler: object, progress: Progress) -> None:
    """Write everything that training needs to go on from ``progress``."""
    entries = _named("", network.parameters_dict())
    entries += _named(OPTIMIZER, _state(optimizer, network)) + _named(SCALER, _scaler_state(scaler))
    _write(path, entries, progress)


def load_weights(network: nn.Cell, path: str | Path) -> Progress:
    """Give ``network`` the parameters of a checkpoint.

    Raises:
        InputError: no such file, a damaged one, or parameters that are missing, surplus or of another shape; the
            network is then unchanged.
    """
    entries, progress = _read(path)
    entries = {name: value for name, value in entries.items() if not name.startswith((OPTIMIZER, SCALER))}
    _assign(network.parameters_dict(), entries, path)
    return progress


def load_training(path: str | Path, network: nn.Cell, optimizer: nn.Optimizer, scaler: object) -> Progress:
    """Bring network, optimiser and loss scale to where `save_training` left them. Errors as of `load_weights`."""
    entries, progress = _read(path)
    wanted = {p["name"]: p["data"] for p in _named("", network.parameters_dict())
              + _named(OPTIMIZER, _state(optimizer, network)) + _named(SCALER, _scaler_state(scaler))}
    _assign(wanted, entries, path)
    return progress


def sweep(folder: Path) -> None:
    """Remove what a run that was killed while writing a checkpoint left in ``folder``."""
    for partial in folder.glob(".*.partial.ckpt"):
        partial.unlink()


def _named(prefix: str, parameters: dict[str, ms.Parameter]) -> list[dict]:
    return [{"name": prefix + name, "data": parameter} for name, parameter in parameters.items()]


def _state(optimizer: nn.Optimizer, network: nn.Cell) -> dict[str, ms.Parameter]:
    """The optimiser's own parameters: moments, counters, learning rate."""
    weights = {id(parameter) for parameter in network.get_parameters()}
    return {p.name: p for p in optimizer.get_parameters() if id(p) not in weights}


def _scaler_state(scaler: object) -> dict[str, ms.Parameter]:
    return {"scale_value": scaler.scale_value, "counter": scaler.counter}


def _write(path: Path, entries: list[dict], progress: Progress) -> None:
    partial = path.with_name(f".{path.stem}.partial.ckpt")
    ms.save_checkpoint(entries, str(partial), append_dict={PROGRESS: json.dumps(asdict(progress))}, crc_check=True)
    use_default_mode(partial)
    with open(partial, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def _read(path: str | Path) -> tuple[dict[str, ms.Parameter], Progress]:
    path = Path(path)
    if not path.is_file():
        raise InputError(path, expected="a checkpoint", found="no such file", remedy="Train the stage first")
    try:
        if path.stat().st_size == 0:
            raise ValueError("an empty file")
        entries = ms.load_checkpoint(str(path), crc_check=True)
        progress = Progress(**json.loads(str(entries.pop(PROGRESS))))
    except KeyError:
        raise InputError(path, expected="a checkpoint of kidneyseg", found=f"one without the entry {PROGRESS!r}",
                         remedy="Use best.ckpt or last.ckpt of `kidneyseg train`") from None
    except Exception as error:  # MindSpore raises whatever its parser trips over
        found = " ".join(str(error).split())[:160]
        raise InputError(path, expected="a whole checkpoint", found=f"a damaged file ({found})",
                         remedy="Copy it again, or train again with --overwrite") from None
    return entries, progress


def _assign(wanted: dict[str, ms.Parameter], entries: dict[str, ms.Parameter], path: str | Path) -> None:
    """Copy ``entries`` into the parameters ``wanted``, which must be the same names and shapes."""
    faults = [f"{name} is missing" for name in wanted.keys() - entries.keys()]
    faults += [f"{name} is surplus" for name in entries.keys() - wanted.keys()]
    faults += [f"{name} is {entries[name].shape}, not {parameter.shape}" for name, parameter in wanted.items()
               if name in entries and tuple(entries[name].shape) != tuple(parameter.shape)]
    if faults:
        shown = "; ".join(sorted(faults)[:3]) + ("; ..." if len(faults) > 3 else "")
        raise InputError(path, expected="the parameters of this recipe's network",
                         found=f"{len(faults)} faults: {shown}",
                         remedy="Use the recipe that the checkpoint was trained with")
    for name, parameter in wanted.items():
        parameter.set_data(ms.Tensor(entries[name].asnumpy(), parameter.dtype))

"""The rank table of Ascend machines: which device trains as which rank. Read without MindSpore, by the launcher.

`python -m kidneyseg.training.rank_table FILE MACHINE DEVICES` prints how many ranks there are, and a line "RANK DEVICE"
for each device of machine number MACHINE, which must be DEVICES; exit status 2 and one line if the table does not fit.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from kidneyseg.errors import InputError
from kidneyseg.system.config_files import read_json

Number = Annotated[str, Field(pattern=r"^[0-9]+$")]  # hccl_tools.py writes numbers as text


@with_config(ConfigDict(extra="allow"))
class Device(TypedDict):
    """What is read of a device."""

    rank_id: Number
    device_id: Number


@with_config(ConfigDict(extra="allow"))
class Server(TypedDict):
    """A machine."""

    device: list[Device]


@with_config(ConfigDict(extra="allow"))
class RankTable(TypedDict):
    """The file."""

    server_list: list[Server]


def read_rank_table(path: str | Path, machine: int, devices: int) -> tuple[int, list[tuple[int, int]]]:
    """Read one machine of a rank table (version 1.0, as hccl_tools.py writes it).

    Args:
        path: the rank table.
        machine: position of the machine in the table's list, from 0.
        devices: number of devices that the machine must have.

    Returns:
        The number of all ranks, and (rank, device) of each device of this machine.

    Raises:
        InputError: not a rank table, no such machine, another number of devices, or ranks that are not 0, 1, 2, ...
    """
    remedy = "Make the table with hccl_tools.py, for the machines and devices that train"
    expected = "a rank table: JSON with server_list, device, rank_id and device_id"
    servers = read_json(path, RankTable, expected=expected, remedy=remedy)["server_list"]
    ranks = [[(int(one["rank_id"]), int(one["device_id"])) for one in server["device"]] for server in servers]
    numbers = sorted(rank for server in ranks for rank, _ in server)
    if numbers != list(range(len(numbers))):
        raise InputError(path, expected="every rank_id from 0 on once", found=f"{numbers}", remedy=remedy)
    if machine >= len(ranks) or len(ranks[machine]) != devices:
        found = f"{len(ranks[machine])}" if machine < len(ranks) else f"{len(ranks)} machines"
        raise InputError(path, expected=f"{devices} devices of machine {machine}", found=found, remedy=remedy)
    return len(numbers), ranks[machine]


if __name__ == "__main__":
    try:
        size, own = read_rank_table(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    except InputError as error:
        print(f"run_distribute_train: error: {error}", file=sys.stderr)
        sys.exit(2)
    print(size, *(f"{rank} {device}" for rank, device in own), sep="\n")

"""The rank table of Ascend machines: which device trains as which rank. Read without MindSpore, by the launcher.

`python -m kidneyseg.training.rank_table FILE MACHINE DEVICES` prints how many ranks there are, and a line "RANK DEVICE"
for each device of machine number MACHINE, which must be DEVICES; exit status 2 and one line if the table does not fit.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from kidneyseg.errors import InputError


def read_rank_table(path: str | Path, machine: int, devices: int) -> tuple[int, list[tuple[int, int]]]:
    """What a rank table (version 1.0, as hccl_tools.py writes it) says of one machine.

    Args:
        machine: its place in the table's list, from 0.
        devices: how many it must have there.

    Returns:
        The number of all ranks, and (rank, device) of each device of this machine.

    Raises:
        InputError: not such a table, no such machine, another number of devices, ranks that are not 0, 1, 2, ...
    """
    remedy = "Make the table with hccl_tools.py, for the machines and devices that train"
    try:
        servers = json.loads(Path(path).read_text())["server_list"]
        ranks = [[(int(one["rank_id"]), int(one["device_id"])) for one in server["device"]] for server in servers]
    except (OSError, ValueError, KeyError, TypeError) as error:
        expected = "a rank table: JSON with server_list, device, rank_id and device_id"
        raise InputError(path, expected=expected, found=f"{type(error).__name__}: {error}", remedy=remedy) from error
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

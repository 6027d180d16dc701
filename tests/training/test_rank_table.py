import json

import pytest

from kidneyseg.errors import InputError
from kidneyseg.training.rank_table import read_rank_table


def write(path, *servers):
    """A table whose servers have devices of the given (rank, device)."""
    devices = [{"device": [{"rank_id": str(rank), "device_id": str(one)} for rank, one in own]} for own in servers]
    path.write_text(json.dumps({"version": "1.0", "server_list": devices}))
    return path


def test_each_machine_finds_its_own_devices(tmp_path):
    table = write(tmp_path / "table.json", [(0, 0), (1, 1)], [(2, 6), (3, 7)])
    assert read_rank_table(table, 0, 2) == (4, [(0, 0), (1, 1)])
    assert read_rank_table(table, 1, 2) == (4, [(2, 6), (3, 7)])


@pytest.mark.parametrize("ranks", [[(0, 0), (0, 1)], [(1, 0), (2, 1)]])
def test_ranks_are_0_1_2(ranks, tmp_path):
    with pytest.raises(InputError, match="every rank_id from 0 on once"):
        read_rank_table(write(tmp_path / "table.json", ranks), 0, 2)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"server_list": [{"device": [{"rank_id": "a"}]}]}'])
def test_what_is_no_rank_table_is_refused(text, tmp_path):
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(InputError, match="table.json: expected a rank table"):
        read_rank_table(tmp_path / "table.json", 0, 1)
    with pytest.raises(InputError, match="absent.json: expected a rank table"):
        read_rank_table(tmp_path / "absent.json", 0, 1)

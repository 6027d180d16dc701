from __future__ import annotations

import os

import numpy as np
import pytest

from kidneyseg.errors import InputError
from kidneyseg.training_data.mindrecord import read_records, record_digests, require_unchanged, write_records
from kidneyseg.training_data.samples import Sample


def samples(count: int, shape=(4, 6, 8), seed=0) -> list[Sample]:
    """Random samples; every third has no target, and the first is all zero (bytes that end in NUL)."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        image = rng.integers(0, 256, shape, np.uint8) * (i > 0)
        label = rng.integers(0, 3, shape, np.uint8) * (i % 3 > 0)
        made.append(Sample(image.astype(np.uint8), label.astype(np.uint8), roi=i % 2, start=(i, 2 * i, 3 * i)))
    return made


def assert_row(row, case, index, sample):
    assert (row["case"], row["index"], row["roi"], row["start"]) == (case, index, sample.roi, sample.start)
    assert row["foreground"] == sample.foreground
    assert row["image"].dtype == row["label"].dtype == np.uint8
    np.testing.assert_array_equal(row["image"], sample.image)
    np.testing.assert_array_equal(row["label"], sample.label)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Three files in an order that is not that of their names."""
    made = {}
    for seed, name in enumerate(["case_b", "case c.1", "case_a"]):
        path = tmp_path_factory.mktemp("records") / f"{name}.coarse.mindrecord"
        rows = samples(3 + 2 * seed, seed=seed)
        assert write_records(path, name, rows) == [s.foreground for s in rows]
        made[path] = (name, rows)
    return made


def test_rows_come_back_in_the_order_of_files_and_rows(cohort):
    rows = list(read_records(list(cohort), (4, 6, 8)))
    expected = [(name, i, s) for name, made in cohort.values() for i, s in enumerate(made)]
    assert len(rows) == len(expected) == 15
    for row, (name, index, sample) in zip(rows, expected):
        assert_row(row, name, index, sample)


def test_any_order_with_repeats(cohort):
    expected = [(name, i, s) for name, made in cohort.values() for i, s in enumerate(made)]
    order = [14, 0, 3, 3, 7, 12, 1, 0] * 5  # more than there are rows
    rows = list(read_records(list(cohort), (4, 6, 8), order))
    assert len(rows) == len(order)
    for row, number in zip(rows, order):
        assert_row(row, *expected[number])


def test_reading_may_stop_early(cohort):
    rows = read_records(list(cohort), (4, 6, 8))
    assert next(rows)["index"] == 0
    rows.close()


def test_slices_and_a_row_bigger_than_the_smallest_page(tmp_path):
    path = tmp_path / "big.fine.mindrecord"
    [big] = samples(2, shape=(1100, 1000))[1:]
    write_records(path, "big", [big])
    [row] = read_records([path], (1100, 1000))
    assert_row(row, "big", 0, big)


def test_nothing_to_write_makes_no_file(tmp_path):
    assert write_records(tmp_path / "none.fine.mindrecord", "none", []) == []
    assert list(tmp_path.iterdir()) == []


def test_writing_twice_gives_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_records(tmp_path / folder / "x.coarse.mindrecord", "x", samples(5))
    first, second = (sorted((tmp_path / folder).iterdir()) for folder in ("a", "b"))
    assert [p.name for p in first] == ["x.coarse.mindrecord", "x.coarse.mindrecord.db"]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(InputError, match="gone.mindrecord"):
        list(read_records([tmp_path / "gone.mindrecord"], (4, 6, 8)))
    path = tmp_path / "case" / "case.coarse.mindrecord"
    path.parent.mkdir()
    write_records(path, "case", samples(3))
    whole = path.read_bytes()
    for broken in (b"", whole[:100], whole[:1000], whole[:-1], b"\xff" * 8 + whole[8:], b"not a MindRecord file"):
        path.write_bytes(broken)
        with pytest.raises(InputError, match="case.coarse.mindrecord.*broken MindRecord"):
            list(read_records([path], (4, 6, 8)))
    path.write_bytes(whole)
    assert len(list(read_records([path], (4, 6, 8)))) == 3


def test_one_changed_bit_is_found(tmp_path):
    path = tmp_path / "case.coarse.mindrecord"
    write_records(path, "case", samples(3))
    digests = record_digests(path)
    assert list(digests) == [path.name, f"{path.name}.db"]
    require_unchanged(path, digests)
    for file in (path, path.with_name(f"{path.name}.db")):
        whole = file.read_bytes()
        file.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        require_unchanged(path, {})  # of a version that noted none
        with pytest.raises(InputError, match="another SHA-256"):
            require_unchanged(path, digests)
        file.write_bytes(whole)


def test_files_have_the_mode_that_the_umask_gives(tmp_path):
    before = os.umask(0o027)
    try:
        write_records(tmp_path / "a.coarse.mindrecord", "a", [Sample(*np.zeros((2, 4, 4), np.uint8), 0, (0, 0, 0))])
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"a.coarse.mindrecord": 0o640, "a.coarse.mindrecord.db": 0o640}

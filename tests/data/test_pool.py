"""Results in order, failures with their case, from this process and from spawned ones."""

from __future__ import annotations

import os
import pickle

import pytest

from kidneyseg.data.pool import default_workers, run_cases
from kidneyseg.errors import InputError
from kidneyseg.volume.nifti import read_image


def test_one_worker_is_this_process():
    assert run_cases(lambda n: (n, os.getpid()), [3, 1], ["a", "b"], workers=1, title="t") == [
        (3, os.getpid()),
        (1, os.getpid()),
    ]
    assert run_cases(abs, [], [], workers=4, title="t") == []
    assert default_workers() >= 1


def test_results_keep_the_order_of_the_items():
    items = [-5, 4, -3, 2]
    assert run_cases(abs, items, list("abcd"), workers=2, title="t") == [5, 4, 3, 2]


@pytest.mark.parametrize("workers", [1, 2])
def test_failures_reach_the_parent(workers):
    with pytest.raises(InputError) as caught:
        run_cases(read_image, ["/no/such.nii", "/nor/this.nii"], ["a", "b"], workers=workers, title="t")
    assert caught.value.found == "no such file" and caught.value.remedy
    with pytest.raises(RuntimeError, match="second: TypeError: bad operand"):
        run_cases(abs, [1, "x"], ["first", "second"], workers=workers, title="t")


def test_a_killed_worker_is_told_from_a_bad_case():
    with pytest.raises(InputError, match="fewer --workers"):
        run_cases(os._exit, [1, 1], ["a", "b"], workers=2, title="t")


def test_no_workers_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        run_cases(abs, [1], ["a"], workers=0, title="t")


def test_input_errors_survive_pickling():
    error = InputError("file", expected="this", found="that", remedy="Do it")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.remedy == "Do it" and type(again) is InputError

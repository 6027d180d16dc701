"""100 SIGKILLs at random moments of prepare, train, predict and export: the same command goes on as if never killed.

``--seed N`` takes other moments.
"""

import shutil
from random import Random

import pytest
from campaign import copy_files
from kills import JOBS, kill_and_finish, run_whole


@pytest.mark.parametrize("name", JOBS)
def test_killed_at_random_moments(name, world, runner, tmp_path, request):
    job, rng = JOBS[name], Random(f"{name}:{request.config.option.seed}")
    place = tmp_path / "place"  # the same for all, for some files name the folders they were made from
    whole = run_whole(job, world, place, runner)
    killed = vain = 0  # a busy machine may be fast again, and the command over before every moment
    while killed < job.kills:
        shutil.rmtree(place)
        copy_files(job.files, world, place)
        more, found = kill_and_finish(job, whole, place, runner, rng)
        assert not found, "\n".join([job.line, *found])
        vain = 0 if more else vain + 1
        assert vain < 3, "no moment came before the end"
        killed += more


def test_there_are_a_hundred_kills():
    assert sum(job.kills for job in JOBS.values()) >= 100

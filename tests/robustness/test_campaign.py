"""Damaged files by the hundred: no command may end in a traceback, hang, die, or write something wrong or half.

``pytest tests/robustness --inputs 5000`` tries thousands, ``--seed 7`` others, ``--input NAME`` one again.
"""

import shutil

from campaign import input_names, try_input


def pytest_generate_tests(metafunc):
    if "name" in metafunc.fixturenames:
        options = metafunc.config.option
        names = [options.input] if options.input else input_names(options.inputs, options.seed)
        metafunc.parametrize("name", names)


def test_damaged_file_is_refused_or_of_no_effect(name, world, runner, reference, tmp_path):
    place = tmp_path / "case"
    found = try_input(name, world, place, runner, reference(name.partition(":")[0]))
    shutil.rmtree(place)  # the name makes it again
    assert not found, "\n".join([name, *found])

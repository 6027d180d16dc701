"""What JSON and YAML may not hold; tests/commands/test_damaged_files.py has the commands that read them."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

import kidneyseg
from kidneyseg.errors import InputError
from kidneyseg.system.config_files import Damaged, parse_json, parse_yaml, read_json_lines

NEXT = list(zip("abcdefgh", "bcdefghi"))
BOMB = "a: &a [1]\n" + "".join(f"{to}: &{to} [{', '.join([f'*{of}'] * 10)}]\n" for of, to in NEXT)
MERGED = "a: &a {x: 1}\n" + "".join(f"{to}: &{to} {{<<: [{', '.join([f'*{of}'] * 10)}]}}\n" for of, to in NEXT)
# json.loads elsewhere: of what this very program has written a moment ago, not of files
OWN = {
    "recipe/files.py",
    "export/metadata.py",
    "evaluation/recipe_candidate.py",
    "benchmark/worker_process.py",
    "model_folder/checkpoint.py",
}


@pytest.mark.parametrize(
    "text, word",
    [
        ("{", "broken"),
        ("", "broken"),
        ("[" * 100_000, "deeply"),
        ("[" * 500 + "]" * 500, "recursion"),
        ('{"a": 1, "a": 2}', "duplicate key 'a'"),
        ("NaN", "NaN"),
        ("[-Infinity]", "Infinity"),
        ("1e999", "1e999"),
        ("1" * 5000, "5000 digits"),
        ('"\\ud800"', "hex escape"),
    ],
)
def test_json_that_is_refused(text, word):
    with pytest.raises(Damaged, match=word) as caught:
        parse_json(text, Any)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_json_is_not_converted():
    assert parse_json('{"a": [1, 2]}', dict[str, list[float]]) == {"a": [1.0, 2.0]}
    for other in ('{"a": ["1"]}', '{"a": [true]}', "[]", "null"):
        with pytest.raises(Damaged, match="should be"):
            parse_json(other, dict[str, list[float]])


@pytest.mark.parametrize(
    "text, word",
    [
        ("a: 0x_", "int"),
        ("a: " + "1" * 5000, "int"),
        ("a: 0x" + "f" * 400, "int"),
        ("a: .nan", "float"),
        ("a: -.inf", "float"),
        ("a: 1.0e+999", "float"),
        ("a: !!float b", "float"),
        ("a: !!bool 3", "bool"),
        ("a: !!timestamp b", "timestamp"),
        ("a: !!python/name:os.system", "python"),
        ("a: 1\nb: 2\na: 3", "duplicate key 'a'"),
        (BOMB, "aliases"),
        (MERGED, "aliases"),
        ("&a [*a]", "aliases"),
        ("a: [", "line 1"),
        ("? [1]\n: 2", "unhashable"),
        ("[" * 2000, "deeply|flow node"),
        ("a: \x00", "not allowed"),
    ],
)
def test_yaml_that_is_refused(text, word):
    with pytest.raises(Damaged, match=word) as caught:
        parse_yaml(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_yaml_is_what_pyyaml_reads_but_for_dates():
    text = "a: &a {b: [1, 2.5, true, null, x]}\nc: *a\nd: {<<: *a, e: 0x1f}\n3: -1"
    assert parse_yaml(text) == yaml.safe_load(text)
    assert parse_yaml("a: 2022-13-45\nb: 2022-12-24") == {"a": "2022-13-45", "b": "2022-12-24"}


def test_only_a_last_line_without_end_may_be_cut(tmp_path):
    path, fault = tmp_path / "log.jsonl", {"expected": "a number", "remedy": "Delete that line"}
    for text, expected in (("1\n2\n", [1, 2]), ("1\n2", [1, 2]), ("1\n[", [1]), ("", [])):
        path.write_text(text)
        assert read_json_lines(path, int, **fault) == expected
    path.write_text("1\n[\n")
    with pytest.raises(InputError, match="log.jsonl, line 2: expected a number"):
        read_json_lines(path, int, **fault)


def test_files_are_read_here_alone():
    source = Path(kidneyseg.__file__).parent
    readers = {
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {("json", "load"), ("json", "loads"), ("yaml", "load"), ("yaml", "safe_load")}
    }
    assert readers == {"system/config_files.py", *OWN}

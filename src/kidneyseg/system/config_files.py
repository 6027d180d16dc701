"""Reading of JSON and YAML files, with one line for every error. All such files are read with these functions.

They are stricter than the formats: duplicate keys, numbers out of range and NaN are errors, in YAML also aliases that
expand to too many values. A date in YAML is text, as in YAML 1.2.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from kidneyseg.errors import InputError

Value = TypeVar("Value")
DIGITS = 19  # of the largest 64-bit integer
MOST_VALUES = 100_000  # in a YAML file, with its aliases expanded
DATE = "tag:yaml.org,2002:timestamp"


class Damaged(ValueError):
    """Text in the wrong format; the message is one line."""


def read_json(path: str | Path, model: type[Value], *, expected: str, remedy: str, absent: str = "") -> Value:
    """Read a JSON file as ``model``, without type conversions.

    Args:
        path: the file.
        model: any type that pydantic validates.
        expected, remedy: for the error message.
        absent: remedy if the file does not exist; default: ``remedy``.

    Raises:
        InputError: no such file, or content of another form.
    """
    try:
        return parse_json(read_text(path, expected=expected, remedy=remedy, absent=absent), model)
    except Damaged as error:
        raise InputError(path, expected=expected, found=str(error), remedy=remedy) from None


def read_json_lines(path: Path, model: type[Value], *, expected: str, remedy: str) -> list[Value]:
    """Read a JSON Lines file, one ``model`` per line; a last line that was truncated by a kill is left out.

    Raises:
        InputError: as for :func:`read_json`; ``expected`` describes a line.
    """
    *lines, rest = read_text(path, expected=f"lines, each {expected}", remedy=remedy).split("\n")
    values = []
    for number, line in enumerate([*lines, rest] if rest else lines, 1):
        try:
            values.append(parse_json(line, model))
        except Damaged as error:
            if number <= len(lines):
                raise InputError(f"{path}, line {number}", expected=expected, found=str(error), remedy=remedy) from None
    return values


def read_yaml(path: str | Path, *, expected: str, remedy: str, absent: str = "") -> Any:
    """Read a YAML file as plain types. Arguments and errors as for :func:`read_json`."""
    try:
        return parse_yaml(read_text(path, expected=expected, remedy=remedy, absent=absent))
    except Damaged as error:
        raise InputError(path, expected="valid YAML", found=str(error), remedy="Correct that line") from None


def read_text(path: str | Path, *, expected: str, remedy: str, absent: str = "") -> str:
    """Read a UTF-8 text file, with or without byte-order mark. Arguments and errors as for :func:`read_json`."""
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        found, remedy = error.strerror or str(error), absent or remedy
    except OSError as error:
        found = error.strerror or str(error)
    except UnicodeDecodeError as error:
        found = f"a file that is not UTF-8 text (byte {error.start} is {error.object[error.start]:#04x})"
    raise InputError(path, expected=expected, found=found, remedy=remedy)


def parse_json(text: str | bytes, model: type[Value]) -> Value:
    """Parse ``text`` as ``model``. Raises Damaged."""
    try:
        json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_number, object_pairs_hook=_distinct)
        validator = _validator(model)  # type: ignore[arg-type]  # mypy does not know that classes are hashable
        return validator.validate_json(text, strict=True)
    except ValidationError as error:
        raise Damaged(first_fault(error)) from None
    except RecursionError:
        raise Damaged("brackets nested too deeply") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError, too
        raise Damaged(f"broken JSON ({error})") from None


def parse_yaml(text: str) -> Any:
    """Parse ``text`` as plain types. Raises Damaged."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise Damaged(" ".join(str(error).split()).replace(' in "<unicode string>"', "")) from None
    except RecursionError:
        raise Damaged("brackets nested too deeply") from None


def first_fault(error: ValidationError) -> str:
    """Format the first error of pydantic in one line: its place and the reason."""
    first = error.errors()[0]
    where, what = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
    found = "" if first["type"] in ("missing", "json_invalid", "value_error") else f", not {first['input']!r:.60}"
    return " ".join(f"{where + ': ' if where else ''}{what}{found}".split())


@cache
def _validator(model: type[Value]) -> TypeAdapter[Value]:
    return TypeAdapter(model)


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _number(text: str) -> float:
    """Parse a number; NaN and Infinity, which Python accepts in JSON, are errors."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is not a finite number")
    return value


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Build the object of ``pairs``; duplicate keys are errors."""
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"duplicate key {next(key for key in keys if keys.count(key) > 1)!r}")
    return values


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which raises only YAMLError and RecursionError."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != DATE]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None and _size(node, {}) > MOST_VALUES:
            raise _fault(node, f"aliases that expand to more than {MOST_VALUES} values")
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError
            if isinstance(value, int) and abs(value) >= 10**DIGITS:
                raise ValueError
            return value
        except (ValueError, LookupError, AttributeError):  # raised by PyYAML, for example for an impossible number
            raise _fault(node, f"{str(node.value)[:40]!r} is not a valid {node.tag.rpartition(':')[2]}") from None


def _size(node: yaml.Node, known: dict[int, float]) -> float:
    """Count the values in ``node`` with all aliases expanded; infinite if it contains itself.

    Raises:
        YAMLError: a duplicate key in a mapping.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = math.inf
        children = node.value
        if isinstance(node, yaml.MappingNode):
            _require_distinct(node)
            children = [child for pair in node.value for child in pair]
        known[id(node)] = 1 + sum(_size(child, known) for child in children)
    return known[id(node)]


def _require_distinct(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in seen:
                raise _fault(key, f"duplicate key {key.value!r}")
            seen.add((key.tag, key.value))


def _fault(node: yaml.Node, what: str) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, what, node.start_mark)

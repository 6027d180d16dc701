"""Reading and writing recipes as YAML, with overrides from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from kidneyseg.errors import InputError, did_you_mean
from kidneyseg.recipe.sampling import SAMPLINGS
from kidneyseg.recipe.schema import Recipe
from kidneyseg.system.config_files import Damaged, parse_yaml, read_yaml
from kidneyseg.system.files import write_text


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe from YAML and apply ``overrides`` such as ``stages.coarse.train.epochs=2``.

    Raises:
        InputError: no such file, not YAML, an unknown key (the message suggests the closest valid name) or a value out
            of range.
    """
    path = Path(path)
    data = _unshared(read_yaml(path, expected="a recipe (YAML)", remedy="Give a file such as configs/mplab.yaml"))
    if not isinstance(data, dict):
        raise InputError(
            path, expected="a mapping of recipe keys", found=type(data).__name__, remedy="Start from configs/mplab.yaml"
        )
    for text in overrides:
        _override(data, text)
    return parse_recipe(data, path)


def parse_recipe(data: dict, subject: str | Path = "recipe") -> Recipe:
    """Validate ``data`` (the mapping read from YAML) as a recipe.

    Args:
        data: the recipe's keys and values.
        subject: the source of ``data``, for error messages.

    Raises:
        InputError: an unknown key or a value out of range.
    """
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise _explain(error, subject) from None


def save_recipe(recipe: Recipe, path: str | Path) -> None:
    """Write ``recipe`` as YAML, atomically; :func:`load_recipe` reads an equal recipe from it."""
    # JSON turns the integer keys of ``merge`` into text, so they are added again.
    data = json.loads(recipe.model_dump_json(exclude_none=True)) | {"merge": recipe.merge}
    write_text(path, yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=110))


def _unshared(node: Any) -> Any:
    """Copy all dicts and lists in ``node``: YAML anchors share them, so changing one would change all."""
    if isinstance(node, dict):
        return {key: _unshared(value) for key, value in node.items()}
    return [_unshared(item) for item in node] if isinstance(node, list) else node


def split_override(text: str) -> tuple[str, str] | None:
    """Split KEY=VALUE into key and value; None if there is no "="."""
    key, equals, value = text.partition("=")
    return (key, value) if equals else None


def _override(data: dict, text: str) -> None:
    """Set one dotted key; items of a list (the stages) are addressed by their ``name`` or index."""
    key, value = split_override(text) or ("", "")
    if not key:
        raise InputError(
            f"override {text!r}",
            expected="KEY=VALUE",
            found="no key" if "=" in text else "no '='",
            remedy="Write for example stages.coarse.train.epochs=2",
        )
    try:
        parsed = parse_yaml(value)
    except Damaged:
        raise InputError(f"override {text!r}", expected="a YAML value", found=value, remedy="Quote the value") from None
    node: Any = data
    parts = key.split(".")
    for part in parts[:-1]:
        if isinstance(node, list):
            node = node[_index(node, part, text)]
        elif isinstance(node, dict):
            node = node.setdefault(part, {})
        else:
            raise InputError(
                f"override {text!r}",
                expected="a recipe key",
                found=f"{part!r} below a plain value",
                remedy="Check the key's path in the recipe",
            )
    if isinstance(node, list):
        node[_index(node, parts[-1], text)] = parsed
    elif isinstance(node, dict):
        node[parts[-1]] = parsed
    else:
        raise InputError(
            f"override {text!r}",
            expected="a recipe key",
            found=f"{parts[-1]!r} below a plain value",
            remedy="Check the key's path in the recipe",
        )


def _index(items: list, part: str, text: str) -> int:
    """Return the index in ``items`` of ``part`` (a name or an index) of the override ``text``."""
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    if part in names:
        return names.index(part)
    if part in (numbers := [str(index) for index in range(len(items))]):
        return numbers.index(part)
    known = [n for n in names if n]
    raise InputError(
        f"override {text!r}",
        expected=f"one of {', '.join(known) or f'0-{len(items) - 1}'}",
        found=repr(part),
        remedy=did_you_mean(part, known) or "Name an item that the recipe has",
    )


def _explain(error: ValidationError, subject: str | Path) -> InputError:
    """Turn the first error of a pydantic report into an InputError; an unknown key gets the closest valid name."""
    first = error.errors()[0]
    where = ".".join(str(p) for p in first["loc"] if p not in SAMPLINGS) or "recipe"
    if first["type"] == "extra_forbidden":
        valid = _valid_keys(first["loc"])
        key = str(first["loc"][-1])
        return InputError(
            f"{subject}: {where}",
            expected=f"one of the keys {', '.join(valid)}",
            found=f"the unknown key {key!r}",
            remedy=did_you_mean(key, valid) or "Remove it",
        )
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if first["type"] == "value_error":
        expected, found = "settings that fit together", message
    else:
        # For model_type, pydantic's message names a Python class, which means nothing to the user.
        message = "a mapping of keys" if first["type"] == "model_type" else message
        expected, found = message, "nothing" if first["type"] == "missing" else repr(first["input"])[:80]
    return InputError(
        f"{subject}: {where}",
        expected=expected,
        found=found,
        remedy="Correct the value; docs/recipe.md explains every key",
    )


def _valid_keys(location: tuple) -> list[str]:
    """List the keys that are valid at the place of the unknown key ``location``."""
    model: Any = Recipe
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        options = [model.model_fields[part].annotation] if part in model.model_fields else [model]
        found = list(_models_in(options[0]))
        named = SAMPLINGS.get(part)
        model = named or (found[0] if found else model)
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield every recipe model in a type annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models_in(inner)

"""JSON, JSON lines and YAML: values of another kind, keys that are gone, and what parsers choke on.

What such a file says has no checksum, so all but a change of its form may give another result.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random

import yaml
from damage import OTHER, SAME, Damage, all_of
from damage_bytes import FOREIGN, SIZE, WITHIN

STRANGE = (
    None,
    True,
    -1,
    0,
    3,
    2**70,
    1e308,
    float("nan"),
    float("-inf"),
    "",
    "x",
    "../../etc/passwd",
    "\0",
    "\ud800",
    [],
    [[]],
    {},
    {"": None},
    [None],
    "9" * 5000,
)


def places(tree: object, path: tuple = ()) -> Iterator[tuple]:
    """Paths of keys and indices to all values in ``tree``, but to itself."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def container(tree: object, path: tuple) -> object:
    """What holds the value at ``path``."""
    for key in path[:-1]:
        tree = tree[key]
    return tree


def other_value(tree: object, rng: Random) -> object:
    path = rng.choice(list(places(tree)))
    container(tree, path)[path[-1]] = rng.choice(STRANGE)
    return tree


def lost(tree: object, rng: Random) -> object:
    path = rng.choice(list(places(tree)))
    del container(tree, path)[path[-1]]
    return tree


def key_misspelt(tree: object, rng: Random) -> object:
    path = rng.choice([path for path in places(tree) if isinstance(path[-1], str)])
    holder = container(tree, path)
    holder[path[-1] + "x"] = holder.pop(path[-1])
    return tree


def value_swapped(tree: object, rng: Random) -> object:
    """One value in the place of another."""
    paths = list(places(tree))
    one, other = rng.choice(paths), rng.choice(paths)
    value = json.loads(json.dumps(container(tree, other)[other[-1]]))
    container(tree, one)[one[-1]] = value
    return tree


def another_whole(tree: object, rng: Random) -> object:
    return rng.choice(STRANGE)


def listed(tree: object, rng: Random) -> object:
    return [tree]


TREES = (other_value, lost, key_misspelt, value_swapped, another_whole, listed)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def as_json(change: Callable[[object, Random], object]) -> Callable[[bytes, Random], bytes]:
    return lambda content, rng: _encoded(json.dumps(change(json.loads(content), rng), ensure_ascii=False))


def as_yaml(change: Callable[[object, Random], object]) -> Callable[[bytes, Random], bytes]:
    return lambda content, rng: _encoded(yaml.safe_dump(change(yaml.safe_load(content), rng)))


def as_json_line(change: Callable[[object, Random], object]) -> Callable[[bytes, Random], bytes]:
    """``change`` of one line among JSON lines."""

    def apply(content: bytes, rng: Random) -> bytes:
        lines = content.splitlines()
        at = rng.randrange(len(lines))
        lines[at] = as_json(change)(lines[at], rng)
        return b"\n".join(lines) + b"\n"

    return apply


def deep(content: bytes, rng: Random) -> bytes:
    return b"[" * 100_000 + b"]" * 100_000


def not_utf8(content: bytes, rng: Random) -> bytes:
    return content[: len(content) // 2] + b"\xe9\xff" + content[len(content) // 2 :]


def utf16(content: bytes, rng: Random) -> bytes:
    return content.decode().encode("utf-16")


def byte_order_mark(content: bytes, rng: Random) -> bytes:
    return b"\xef\xbb\xbf" + content


def nul(content: bytes, rng: Random) -> bytes:
    return content + b"\0"


def spaces_after(content: bytes, rng: Random) -> bytes:
    return content.rstrip(b"\n") + b"\n\n \n"


def comment(content: bytes, rng: Random) -> bytes:
    return b"# edited by hand\n" + content


def bomb(content: bytes, rng: Random) -> bytes:
    """Lists of ten times the one before: a thousand million values in a few lines."""
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
    return ("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + levels).encode() + content


def odd_scalar(content: bytes, rng: Random) -> bytes:
    """A value that YAML takes for a date that is none, a number without digits, one of 5 000 digits, or a tag."""
    odd = rng.choice(
        (
            b"2024-13-45",
            b"0x",
            b"0b",
            b"9" * 5000,
            b"!!python/object/apply:os.getcwd []",
            b"!x y",
            b"*none",
            b"[",
            b"{a: ",
            b"\t- x",
            b"1:99:99",
            b"._",
            b"<<",
            b"!!binary x",
            b"!!int x",
            b"!!timestamp x",
        )
    )
    lines = [line for line in content.splitlines() if b": " in line]
    line = rng.choice(lines)
    key = line.partition(b": ")[0]
    return content.replace(line, key + b": " + odd, 1)


FORM = all_of(OTHER, deep, not_utf8, utf16, byte_order_mark, nul, *SIZE, *FOREIGN, *WITHIN)


def _trees(form: Callable) -> dict[str, Damage]:
    return {change.__name__.replace("_", "-"): Damage(form(change), OTHER) for change in TREES}


JSON = FORM | _trees(as_json) | all_of(SAME, spaces_after)
JSONL = FORM | _trees(as_json_line)
YAML = FORM | _trees(as_yaml) | all_of(OTHER, bomb, odd_scalar) | all_of(SAME, spaces_after, comment)

"""The .zip of an exported model: its container, its names and its members."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from random import Random

from damage import OTHER, SAME, SEEN, Damage, all_of, renamed
from damage_bytes import BEYOND, FOREIGN, SIZE, WITHIN, bit, cut
from damage_text import JSON, YAML


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return target.getvalue()


def in_member(ending: str, change: Callable[[bytes, Random], bytes]) -> Callable[[bytes, Random], bytes]:
    """``change`` made to one of the members that end so; the archive's own checksums are right again."""

    def apply(content: bytes, rng: Random) -> bytes:
        files = members(content)
        name = rng.choice(sorted(name for name in files if name.endswith(ending)))
        return zipped(list((files | {name: change(files[name], rng)}).items()))

    return apply


def member_lost(content: bytes, rng: Random) -> bytes:
    files = members(content)
    del files[rng.choice(sorted(files))]
    return zipped(list(files.items()))


def member_renamed(content: bytes, rng: Random) -> bytes:
    files = members(content)
    name = rng.choice(sorted(files))
    odd = rng.choice(("../" + name, "/tmp/" + name, "folder/" + name, "C:\\" + name, "x" + name, name.upper(), ".."))
    return zipped([(odd if other == name else other, data) for other, data in files.items()])


def stored(content: bytes, rng: Random) -> bytes:
    return zipped(list(members(content).items()), zipfile.ZIP_STORED)


def other_file_beside(content: bytes, rng: Random) -> bytes:
    return zipped([*members(content).items(), ("README.txt", b"notes")])


GRAPH = ".onnx"
ZIP: dict[str, Damage] = {
    **all_of(SAME, stored, other_file_beside),
    **all_of(SEEN, member_lost, *SIZE, *FOREIGN, *WITHIN, *BEYOND),
    **all_of(OTHER, member_renamed),
    "graph-bit": Damage(in_member(GRAPH, bit), SEEN),
    "graph-cut": Damage(in_member(GRAPH, cut), SEEN),
    **renamed(
        "description", {name: Damage(in_member(".json", damage.apply), damage.effect) for name, damage in JSON.items()}
    ),
    **renamed(
        "recipe", {name: Damage(in_member("recipe.yaml", damage.apply), damage.effect) for name, damage in YAML.items()}
    ),
}

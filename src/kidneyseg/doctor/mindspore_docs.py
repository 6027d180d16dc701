"""What MindSpore's own documentation, the docstrings of the installed package, says of its operators.

An operator of a graph is documented in up to three places: as a primitive (`ops.Conv3D`), as the function that the
primitive's text names (`ops.isfinite`) and as the layer of its name (`nn.Conv3d`). The strictest counts. Operators that
compute gradients are no part of MindSpore's interface: for them their forward operator's documentation counts, too.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

PRIMITIVES = (
    "mindspore.ops.operations",
    "mindspore.ops.operations.nn_ops",
    "mindspore.ops.operations._grad_ops",
    "mindspore.ops.operations._inner_ops",
    "mindspore.ops.auto_generate.gen_ops_prim",
)
FUNCTIONS = ("mindspore.ops", "mindspore.ops.auto_generate.gen_ops_def", "mindspore.mint")
PLATFORMS = ("Ascend", "GPU", "CPU")
TYPE = re.compile(r"\b(?:bool|bfloat16|float(?:16|32|64)|u?int(?:8|16|32|64)|complex(?:64|128))\b")
GRADIENT = re.compile(r"(?P<forward>\w+?)(?:Grad|Backward|Backprop(?:Input|Filter))(?:Ext|V2)?")
ITEM = re.compile(r"^(?:- \*\*|)(?P<name>\w+)(?:\*\*)? \((?P<kind>.*?)\)\s*(?:-|:)")


@dataclass(frozen=True)
class Statement:
    """That something takes ``types``, on ``platforms`` or, if that is empty, everywhere."""

    types: frozenset[str]
    platforms: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Page:
    """One docstring.

    Attributes:
        name: of what it documents.
        platforms: "Supported Platforms"; empty: it does not say.
        inputs: for each input what is said of its types, nothing of what is no tensor.
        notes: sentences outside the descriptions of inputs that name a platform.
    """

    name: str
    platforms: tuple[str, ...]
    inputs: tuple[tuple[Statement, ...], ...]
    notes: tuple[str, ...]

    def types(self, target: str, index: int) -> frozenset[str] | None:
        """What input ``index`` may be on ``target``; None: not said."""
        said = self.inputs[index] if index < len(self.inputs) else ()
        special = [one for one in said if target in one.platforms]
        wanted = special or [one for one in said if not one.platforms]
        return frozenset.union(*(one.types for one in wanted)) if wanted else None


@dataclass(frozen=True)
class Documentation:
    """All that is said of one operator, ``own`` of itself and ``forward`` of the one whose gradient it computes."""

    own: tuple[Page, ...]
    forward: tuple[Page, ...] = ()

    @property
    def platforms(self) -> tuple[str, ...]:
        """Empty: not said."""
        pages = (*self.forward, *self.own)
        return next((page.platforms for page in pages if page.platforms), ())

    def types(self, target: str, index: int) -> frozenset[str] | None:
        """What input ``index`` may be on ``target``; None: not said."""
        said = [page.types(target, index) for page in self.own] + [page.types(target, 0) for page in self.forward]
        known = [types for types in said if types is not None]
        return frozenset.intersection(*known) if known else None

    def notes(self, target: str) -> tuple[str, ...]:
        """Sentences that name ``target``."""
        return tuple(
            dict.fromkeys(note for page in (*self.own, *self.forward) for note in page.notes if target in note)
        )


@cache
def look_up(operator: str) -> Documentation:
    """What is said of the primitive that graphs call ``operator``. Imports MindSpore."""
    gradient = GRADIENT.fullmatch(operator)
    forward = gradient["forward"] if gradient else ""
    return Documentation(_pages(operator), _pages(forward) or _pages(f"{forward}V2") if forward else ())


def read_page(name: str, text: str) -> Page:
    """Take a docstring apart."""
    sections = _sections(inspect.cleandoc(text))
    platforms = sections.get("Supported Platforms", "")
    inputs = sections.get("Inputs", "") or sections.get("Args", "")
    prose = "\n".join(sections.get(key, "") for key in ("", "Note", ".. note::", ".. warning::"))
    return Page(
        name,
        tuple(word for word in PLATFORMS if word in platforms),
        tuple(map(_statements, _items(inputs))),
        tuple(sentence for sentence in _sentences(prose) if any(word in sentence for word in PLATFORMS)),
    )


def _pages(name: str) -> tuple[Page, ...]:
    found = [_text(module, name) for module in PRIMITIVES]
    texts = list(filter(None, found))[:1]
    for text in list(texts):
        for function in re.findall(r"Refer to :func:`mindspore\.ops\.(\w+)", text):
            texts.append(next(filter(None, (_text(module, function) for module in FUNCTIONS)), ""))
    layer = _layers().get(name.lower())
    if layer is not None:
        texts.append(layer)
    return tuple(read_page(name, text) for text in texts if text)


def _text(module: str, name: str) -> str:
    return inspect.getdoc(getattr(importlib.import_module(module), name, None)) or ""


@cache
def _layers() -> dict[str, str]:
    """Docstrings of the layers of `mindspore.nn` by their names in small letters: Conv3D is Conv3d there."""
    layer = importlib.import_module("mindspore.nn.layer")
    return {name.lower(): inspect.getdoc(getattr(layer, name)) or "" for name in layer.__all__}


def _sections(text: str) -> dict[str, str]:
    """Of Google's style: what stands under a heading without an indent; the heading "" has what precedes the first."""
    sections, heading = {"": ""}, ""
    for line in text.splitlines():
        if re.fullmatch(r"[A-Z][\w ]*:|\.\. (?:note|warning)::", line):
            heading = line.removesuffix(":") if not line.startswith("..") else line
        elif line and not line.startswith(" "):
            heading = ""
        sections[heading] = sections.get(heading, "") + line + "\n"
    return sections


def _items(section: str) -> Iterator[str]:
    """The descriptions in a section of inputs, in their order; empty for what is no tensor."""
    lines = section.splitlines()[1:]
    outer = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    for item in re.split(rf"^ {{{outer}}}(?=\S)", "\n".join(lines), flags=re.M)[1:]:
        match = ITEM.match(item)
        if match:
            yield item[match.end() :] if re.search("Tensor|Parameter", match["kind"]) else ""


def _statements(text: str) -> tuple[Statement, ...]:
    """What a description says of types: "Ascend: float16. GPU/CPU: float16, float32." is two statements."""
    joined = re.sub(r"\n\s*(?=-)", ";", re.sub(r"<http\S*>", "", text))  # a list's items are clauses
    found = []
    for clause in re.split(r"[;.]\s|[;.]$|;|,\s+and\s", re.sub(r"\s+", " ", joined)):
        types = frozenset(TYPE.findall(clause))
        if types and not re.search(r"(?<!any )\bnumber|numeric", clause):  # "a number or bool" is any type
            found.append(Statement(types, frozenset(word for word in PLATFORMS if word.lower() in clause.lower())))
    return tuple(found)


def _sentences(text: str) -> list[str]:
    """Without the markup of items and mathematics."""
    items = re.split(r"\n\s*(?:-|\d\.)\s|\n\s*\n", text)
    plain = (re.sub(r":\w+:`([^`]*)`", r"\1", re.sub(r"\s+", " ", item)) for item in items)
    return [sentence.strip() for item in plain for sentence in re.split(r"(?<=[.:])\s", item) if sentence.strip()]

"""Every *.md file of the repository: links and images lead somewhere, and command lines are what the commands take."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path
from urllib.parse import unquote

import pytest

from kidneyseg.cli import COMMANDS, main
from kidneyseg.recipe import load_recipe

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("ascend310_infer", "configs", "docker", "docs", "model_zoo", "scripts", "src", "tests")
FILES = sorted(
    [
        *ROOT.glob("*.md"),
        *(
            file
            for folder in FOLDERS
            for file in (ROOT / folder).rglob("*.md")
            if not {"_build", "build"} & set(file.parts)
        ),
    ]
)
FENCE = re.compile(r"^( *)(```+)[^\n]*\n(.*?)^\1\2 *$", re.M | re.S)
CODE = re.compile(r"(`+)(.+?)\1", re.S)
LINK = re.compile(r"\[[^]]*\]\(<?([^)\s>]+)>?(?: +\"[^\"]*\")?\)")
SCRIPT = re.compile(r"python (train|eval|predict|export)\.py")


def prose(text: str) -> str:
    """``text`` without code."""
    return CODE.sub("", FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """Those that GitHub gives the headings: lower case, no punctuation, "-" for blanks, and a number for the second."""
    found: list[str] = []
    for title in re.findall(r"^#{1,6} +(.+?) *#*$", FENCE.sub("", text), re.M):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.append(slug)
    return {f"{slug}-{before}" if (before := found[:number].count(slug)) else slug for number, slug in enumerate(found)}


def dead_links(file: Path, text: str) -> list[str]:
    dead = []
    for link in LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = file.parent / path if path else file
        if not target.exists() or not target.resolve().is_relative_to(ROOT):
            dead.append(f"{link}: no such file")
        elif anchor and (target.suffix != ".md" or anchor not in anchors(text if not path else target.read_text())):
            dead.append(f"{link}: no such heading")
    return dead


def command_lines(text: str) -> list[list[str]]:
    """The words of all `kidneyseg` commands, without the first: of code blocks, and those with arguments in a line."""
    blocks = [block for _, _, block in FENCE.findall(text)]
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += [" ".join(code.split()) for _, code in CODE.findall(FENCE.sub("", text))]
    found = []
    for line in lines:
        line = SCRIPT.sub(r"kidneyseg \1", line)
        if not re.match(r"(kidneyseg|docker run) ", line) or line.startswith("kidneyseg COMMAND"):
            continue
        words = shlex.split(line, comments=True)
        while "kidneyseg" in words:
            words = words[words.index("kidneyseg") + 1 :]
            if words:
                end = next((at for at, word in enumerate(words) if word in ("&&", ";", "|", ">")), len(words))
                found.append(words[:end])
    return found


def fault(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What is wrong with a command line, by the real parsers and, for recipes of configs/, by the schema; or ""."""
    seen = []
    if words[0] in COMMANDS:
        if not any(word.startswith("-") for word in words[1:]) and len(words) < 3:
            return ""  # a name in a sentence, such as `kidneyseg export`
        command = importlib.import_module(f"kidneyseg.commands.{words[0]}")
        monkeypatch.setattr(command, "run", lambda args: seen.append(args) or 0)
    try:
        main(words)
    except SystemExit as stop:
        return "" if stop.code == 0 else capsys.readouterr().err
    [args] = seen
    recipe = ROOT / "configs" / f"{getattr(args, 'recipe', None)}.yaml"
    if recipe.exists():
        load_recipe(recipe, args.overrides)
    return ""


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file):
    assert dead_links(file, file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_commands_parse_and_scripts_exist(file, monkeypatch, capsys):
    text = file.read_text(encoding="utf-8")
    for words in command_lines(text):
        assert (shlex.join(words), fault(words, monkeypatch, capsys)) == (shlex.join(words), "")
    for script in re.findall(r"\bbash (\S+\.sh)\b", text):
        assert (ROOT / script).is_file(), script


@pytest.mark.parametrize(
    "text, dead",
    [
        ("[a](docs/nowhere.md)", 1),
        ("![a](nowhere.png)", 1),
        ("[a](README.md#nowhere)", 1),
        ("[a](#nowhere)\n# Here", 1),
        ("[a](../outside)", 1),
        ("[a](setup.py#L1)", 1),
        ("[a](#it-is-here-1)\n# It is `here`!\n# It is here", 0),
        ("[a](https://example.org/nowhere)", 0),
        ("`[a](nowhere)`", 0),
        ("```\n[a](nowhere)\n```\n", 0),
    ],
)
def test_dead_links_are_found(text, dead):
    assert len(dead_links(ROOT / "README.md", text)) == dead


@pytest.mark.parametrize(
    "text",
    [
        "```bash\nkidneyseg predict -m MODEL \\\n  -o OUT\n```\n",
        "`kidneyseg predict --in SCAN`",
        "`kidneyseg predikt -m MODEL -i SCAN -o OUT`",
        "```bash\npython eval.py --wrok WORK\n```\n",
        "```bash\ndocker run kidneyseg predict -m M -i S\n```\n",
    ],
)
def test_wrong_commands_are_found(text, monkeypatch, capsys):
    [words] = command_lines(text)
    assert fault(words, monkeypatch, capsys)


def test_commands_that_are_right_are_not_run(monkeypatch, capsys):
    lines = command_lines("`kidneyseg train -c mplab --work W stages.fine.train.epochs=2`, `kidneyseg prepare --help`")
    assert len(lines) == 2 and not any(fault(words, monkeypatch, capsys) for words in lines)

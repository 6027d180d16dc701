"""Damaged JSON and YAML files: every command that reads one says so in one line that names it, and changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_inputs import CASES, Good

from kidneyseg import cli
from kidneyseg.export.graph import Graph, TensorSpec
from kidneyseg.export.metadata import write_metadata
from kidneyseg.metrics.summary import score_fold
from kidneyseg.model_folder import run_record
from kidneyseg.model_folder.epoch_log import append_row
from kidneyseg.recipe import load_recipe
from kidneyseg.report.tables import COLUMNS, write_json

NUMBER = re.compile(r"(?<=[\s\[])\d+(\.\d+)?(?=[,\]}\n])")


def of_other_number(text: str, number: str) -> bytes:
    changed, count = NUMBER.subn(number, text, count=1)
    return (changed if count else f"- {number}").encode()


DAMAGES = {
    "empty": lambda text: b"\n",
    "cut": lambda text: text.encode()[: len(text) // 4] + b"\n",
    "deep": lambda text: b"[" * 600 + b"\n",
    "another type": lambda text: b"[[1, 2]]\n",
    "text": lambda text: b"none\n",
    "not UTF-8": lambda text: text.encode("utf-16"),
    "bytes": lambda text: text.encode() + b"\xff",
    "NaN": lambda text: of_other_number(text, "NaN"),
    "a YAML NaN": lambda text: of_other_number(text, ".nan"),
    "5000 digits": lambda text: of_other_number(text, "1" * 5000),
    "too large": lambda text: of_other_number(text, "1.0e+999"),
    "twice": lambda text: (
        text.encode().replace(b"{", b'{"twice": 1, "twice": 2, ', 1) if "{" in text else b"a: 1\na: 2"
    ),
}
TRAIN = "train -c {recipe} --stage fine --device CPU --work {work} --resume"
SPLITS, CASE, RECIPE, RUN = "splits.json", f"prepared/{CASES[2]}/case.json", "fold0/recipe.yaml", "fold0/run.json"
ROWS = [  # command line, and the files of the work folder that it reads
    (TRAIN, [SPLITS, CASE, RECIPE, RUN, "fold0/fine/log.jsonl", "../tiny.yaml"]),
    (
        "report --work {work}",
        [
            RECIPE,
            RUN,
            "fold0/fine/log.jsonl",
            "fold0/scores.json",
            "fold0/scores_oracle.json",
            f"prepared/{CASES[0]}/case.json",
        ],
    ),
    ("eval --work {work} --device CPU --fold 1 -m {model}", [SPLITS, CASE, RECIPE, "fold1/model/run.json"]),
    ("budget -c {recipe} --work {work} --minutes 1 --device CPU -o {work}/other.yaml", [SPLITS, CASE, "../tiny.yaml"]),
    ("predict -m {model} -i {scan} -o {work}/out --device CPU", [RECIPE]),
    ("predict -m {work}/package -i {scan} -o {work}/out", ["package/recipe.yaml", "package/fine.onnx.json"]),
    ("export -m {model} -o {work}/out", [RECIPE]),
    ("prepare -c {recipe} --data {data} --work {work} --folds 2", [SPLITS, "../tiny.yaml"]),
    ("prepare -c {recipe} --data {work}/sets.yaml --work {work} --folds 2", ["sets.yaml"]),
    ("cohort split {data} --folds 2 --work {work}", [SPLITS]),
    ("simulate {data} {work}/simulated", ["simulated/simulation.json"]),
    ("compare -c {recipe} --data {data} --work {work}", [SPLITS, "../tiny.yaml"]),
]
PAIRS = [(line, file) for line, files in ROWS for file in files]


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Good:
    """Everything that any command reads; the checkpoint that training would go on from is the last thing it reads."""
    good = Good.make(tmp_path_factory.mktemp("good"))
    recipe = load_recipe(good.recipe)
    scores = score_fold([{"case": case, **{column.key: 0.5 for column in COLUMNS}} for case in CASES[:2]])
    for name in ("scores", "scores_oracle"):
        write_json(scores, good.model / f"{name}.json")
    for stage in ("fine", "eval"):
        run_record.record(good.model, stage, {"ranks": 1})
    (good.work / "fold1" / "model").mkdir(parents=True)
    run_record.record(good.work / "fold1" / "model", "eval", {"ranks": 1})
    for epoch in range(2):
        append_row(good.model / "fine" / "log.jsonl", {"epoch": epoch, "loss": 0.5, "val_dice": {"tumour": 0.25}})
    (good.model / "fine" / "last.ckpt").write_bytes(b"cut")
    (good.work / "sets.yaml").write_text(f"- name: a\n  weight: 1\n  folder: {good.data}\n")
    (good.work / "package").mkdir()
    (good.work / "package" / "recipe.yaml").write_text(good.recipe.read_text())
    for stage in recipe.stages:
        graph = Graph(
            good.work / "package" / f"{stage.name}.onnx",
            "ONNX",
            TensorSpec("image", (None, 1, 32, 32)),
            TensorSpec("probabilities", (None, stage.classes, 32, 32)),
        )
        graph.path.write_bytes(b"graph")
        write_metadata(graph, recipe, stage, good.model)
    (good.work / "simulated").mkdir()
    (good.work / "simulated" / "simulation.json").write_text('{"seed": 1}\n')
    return good


@pytest.fixture
def damaged(good, request) -> Iterator[Path]:
    file, damage = request.param
    path = (good.work / file).resolve()
    before = path.read_text()
    path.write_bytes(DAMAGES[damage](before))
    yield path
    path.write_text(before)


@pytest.mark.parametrize(
    "line, damaged",
    [(line, (file, damage)) for line, file in PAIRS for damage in DAMAGES],
    ids=[f"{line.split()[0]} {file}: {damage}" for line, file in PAIRS for damage in DAMAGES],
    indirect=["damaged"],
)
def test_a_damaged_file_is_said_in_one_line(good, damaged, line, capsys):
    words = {**vars(good), "scan": good.data / CASES[0] / "imaging.nii.gz"}
    before = content(good.work)
    assert cli.main(line.format(**words).split()) == 2
    (error,) = (row for row in capsys.readouterr().err.splitlines() if ": error: " in row)
    assert str(damaged) in error or str(damaged.parent) in error
    assert "expected " in error and "found " in error and len(error) < 1500
    assert content(good.work) == before


def content(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.stat().st_size for path in folder.rglob("*") if path.name != ".lock"}

import csv
import json
import math

import numpy as np
import pytest

from kidneyseg.errors import InputError
from kidneyseg.metrics.case import score_case
from kidneyseg.metrics.summary import score_fold
from kidneyseg.report import tables
from kidneyseg.system import files


def fold():
    """A good case, one whose tumour was missed, one never predicted whose name is long."""
    truth = np.zeros((12, 20, 20), np.uint8)
    truth[2:10, 4:16, 4:16] = 1
    truth[4:7, 8:12, 8:12] = 2
    predictions = {"case_00000": truth, "case_00001": np.minimum(truth, 1), "a_very_long_case_name_00002": truth * 0}
    cases = [{"case": name, **score_case(mask, truth, (3, 1, 1))} for name, mask in predictions.items()]
    return score_fold(cases, missing=["a_very_long_case_name_00002"], without_truth=["case_9"])


def test_json_has_every_number_and_null_for_undefined(tmp_path):
    scores = fold()
    paths = tables.write_scores(scores, tmp_path / "new" / "fold.0")
    assert [path.name for path in paths] == ["fold.0.json", "fold.0.csv", "fold.0.md"]
    content = json.loads(paths[0].read_text())
    assert [case["case"] for case in content["cases"]] == [case["case"] for case in scores.cases]
    for read, case in zip(content["cases"], scores.cases):
        for key, value in case.items():
            assert read[key] is None if isinstance(value, float) and math.isnan(value) else read[key] == value
    assert content["mean"]["kidney"] == pytest.approx(2 / 3) and content["sd"]["tumour"] == scores.sd["tumour"]
    assert content["cases"][1]["hd95_tumour"] is None
    assert content["missing"] == ["a_very_long_case_name_00002"]


def test_csv_has_a_row_per_case(tmp_path):
    scores = fold()
    tables.write_scores(scores, tmp_path / "scores")
    with open(tmp_path / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == [case["case"] for case in scores.cases]
    assert float(rows[0]["volume_ml_kidney_and_masses_truth"]) == pytest.approx(8 * 12 * 12 * 3 / 1000)
    assert rows[1]["hd95_tumour"] == "" and float(rows[1]["kidney"]) == 1


def test_terminal_table_is_aligned_and_fits():
    text = tables.format_table(fold())
    table, rest = text.split("\n\n")
    lines = table.splitlines()
    assert max(map(len, text.splitlines())) <= 120
    assert len({len(line) for line in lines[1:]}) == 1  # every row ends in the same column
    assert lines[3].split()[:5] == ["case_00000", "1.000", "1.000", "1.000", "1.000"]
    assert lines[4].split()[:3] == ["case_00001", "1.000", "0.000"]
    assert lines[5].startswith("...") and "00002 " in lines[5]
    assert lines[-2].split()[:3] == ["mean", "0.667", "0.333"]
    assert lines[-1].split()[:3] == ["SD", "0.471", "0.471"]
    assert "kidney 0.6667 +/- 0.4714" in rest
    assert "scored as empty: a_very_long_case_name_00002" in rest
    assert "not scored: case_9" in rest
    unwrapped = " ".join(rest.split())
    assert "HD95 mm tumour not defined (a mask is empty), left out of the mean: case_00001, a_very" in unwrapped


def test_markdown_rows_have_equal_cells():
    lines = [line for line in tables.format_markdown(fold()).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 3 + 2
    assert {line.count("|") for line in lines} == {len(tables.COLUMNS) + 2}
    assert lines[-2].startswith("| **mean** | 0.667 | 0.333 | 0.500 |")


def test_nothing_half_written(tmp_path):
    target = tmp_path / "scores.json"
    target.write_text("old")
    with pytest.raises(RuntimeError), files.atomic(target) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_scores_come_back_from_json(tmp_path):
    scores = fold()
    again = tables.read_scores(tables.write_json(scores, tmp_path / "scores.json"))
    assert [case["case"] for case in again.cases] == [case["case"] for case in scores.cases]
    assert again.missing == scores.missing and again.undefined == scores.undefined
    for key, value in scores.mean.items():
        assert again.mean[key] == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize("text", [None, "{", "[]", '{"cases": []}'])
def test_what_is_no_scores_is_refused(tmp_path, text):
    path = tmp_path / "scores.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match="scores that `kidneyseg eval` wrote"):
        tables.read_scores(path)

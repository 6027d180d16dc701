"""Stage by stage over files, with networks elsewhere, gives the masks of `predict`, to the voxel."""

import hashlib
import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from cascade_doubles import make_hu, make_labels, make_model, make_recipe, save_scan

from kidneyseg.cohort.case import Case
from kidneyseg.deploy.deployment import Deployment
from kidneyseg.deploy.program import Program
from kidneyseg.errors import InputError
from kidneyseg.export.graph import Graph, TensorSpec
from kidneyseg.export.package import Package
from kidneyseg.recipe import parse_recipe
from kidneyseg.volume.nifti import read_image, read_mask

SHAPE, SPACING = (30, 60, 64), (3.0, 1.5, 1.7)
ONE = make_labels(SHAPE, [((14, 30, 16), (8, 9, 8)), ((15, 30, 48), (8, 9, 8))], [((14, 30, 14), (4, 4, 4))])
OTHER = make_labels(SHAPE, [((12, 28, 44), (9, 10, 9))])


@dataclass
class ByFiles:
    """Runs each stage's double on the files of a manifest, as the program would; leaves out what `bad` names."""

    recipe: object
    bad: set = field(default_factory=set)
    batches: dict = field(default_factory=dict)

    def compute(self, graph, batch, tensors, out, timing):
        runtime, lines = make_model(self.recipe).runtimes[graph.stem], []
        for line in tensors.read_text().splitlines()[1:]:
            digest, shape, name = line.split(" ", 2)
            content = (tensors.parent / name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == digest
            image = np.frombuffer(content, "<f4").reshape([int(n) for n in shape.split("x")])
            if name in self.bad:
                continue
            answer = runtime(image[None])[0].tobytes()
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(answer)
            classes = self.recipe.stage(graph.stem).classes
            lines.append(f"{hashlib.sha256(answer).hexdigest()} {classes}x{shape.split('x', 1)[1]} {name}\n")
        out.mkdir(parents=True, exist_ok=True)
        (out / "manifest.txt").write_text("".join(lines))
        self.batches[graph.stem] = (batch, len(lines))
        return not self.bad


def deploy(folder, recipe, bad=()):
    graphs = {
        stage.name: Graph(Path(f"{stage.name}.onnx"), "ONNX", TensorSpec("images", (None,)), TensorSpec("p", (None,)))
        for stage in recipe.stages
    }
    return Deployment(Package(recipe, graphs), ByFiles(recipe, set(bad)), folder)


def save_cases(folder, **labels):
    return [
        Case(name, save_scan(folder / f"{name}.nii.gz", make_hu(label), SPACING, flips=(True, False, True)), None)
        for name, label in labels.items()
    ]


def changed(**changes):
    """The recipe of the doubles with a part of its stages changed: coarse={...}, fine={...}."""
    data = json.loads(make_recipe().model_dump_json(exclude_none=True, exclude_defaults=True))
    for stage in data["stages"]:
        for key, value in changes.get(stage["name"], {}).items():
            stage[key] = stage.get(key, {}) | value
    return parse_recipe(data | changes.get("whole", {}))


RECIPES = {
    "plain": changed(),
    "mirrors and middles": changed(
        coarse={"inference": {"mirrors": ["z", "yx"], "merge": "centre"}}, fine={"inference": {"mirrors": ["x"]}}
    ),
    "stacks, masked and confined": changed(
        fine={"sampling": {"size": [64, 64], "stack": 3}, "region": {"crop": "box", "masked": True, "confined": True}}
    ),
    "slices of its own": changed(fine={"sampling": {"size": [32, 32], "slice_spacing": 4.0}}),
    "both stages painted": changed(whole={"result": ["coarse", "fine"]}),
}


@pytest.mark.parametrize("name", RECIPES)
def test_masks_are_those_of_predict(name, tmp_path):
    recipe = RECIPES[name]
    cases = save_cases(tmp_path, one=ONE, other=OTHER)
    deployment = deploy(tmp_path / "out", recipe)
    deployment.segment(cases)
    assert deployment.complete and not deployment.failures
    for case in cases:
        expected = make_model(recipe).segment(read_image(case.image)).mask
        found = read_mask(deployment.mask_path(case)).array
        assert np.array_equal(found, expected) and expected.any()
    assert deployment.program.batches["fine"][0] == 5  # the recipe's; and all scans' slices went in one call
    assert deployment.program.batches["fine"][1] > 20


def test_regions_that_overlap_are_put_together_in_another_order_than_they_were_cut(tmp_path):
    recipe = changed(fine={"region": {"crop": "kidneys", "margin": 5}})
    three = make_labels(SHAPE, [((6, 30, 14), (5, 8, 7)), ((12, 30, 48), (8, 8, 7)), ((22, 30, 14), (5, 8, 7))])
    (case,) = save_cases(tmp_path, three=three)
    result = make_model(recipe).segment(read_image(case.image))
    first, other, last = result.rois["fine"]
    assert first.origin[0] + first.shape[0] > last.origin[0] and first.origin[2] + first.shape[2] < other.origin[2]
    deployment = deploy(tmp_path / "out", recipe)
    deployment.segment([case])
    assert not deployment.failures, deployment.failures
    assert np.array_equal(read_mask(deployment.mask_path(case)).array, result.mask)


def test_a_scan_without_a_kidney_has_an_empty_mask(tmp_path, capsys):
    cases = save_cases(tmp_path, one=ONE, none=np.zeros(SHAPE, np.uint8))
    deployment = deploy(tmp_path / "out", make_recipe())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        deployment.segment(cases)
    assert not read_mask(deployment.mask_path(cases[1])).array.any() and not deployment.failures
    assert "no kidney found" in capsys.readouterr().err


def test_tensors_of_an_earlier_run_serve_again_but_not_for_another_scan(tmp_path):
    cases = save_cases(tmp_path, one=ONE, other=OTHER)
    with pytest.raises(InputError, match="NEED_PREPROCESS y"):
        deploy(tmp_path / "out", make_recipe()).segment(cases, preprocess=False)
    deploy(tmp_path / "out", make_recipe()).segment(cases)
    mask = deploy(tmp_path, make_recipe()).mask_path(cases[0]).relative_to(tmp_path)
    before = (tmp_path / "out" / mask).read_bytes()
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "preprocess_Result").rglob("*.bin")}
    (tmp_path / "out" / mask).unlink()
    again = deploy(tmp_path / "out", make_recipe())
    again.segment(cases, preprocess=False)
    assert (tmp_path / "out" / mask).read_bytes() == before and not again.failures
    assert written == {path: path.stat().st_mtime_ns for path in written}

    save_cases(tmp_path, other=ONE)
    stale = deploy(tmp_path / "out", make_recipe())
    stale.segment(cases, preprocess=False)
    assert list(stale.failures) == ["other"] and "NEED_PREPROCESS y" in str(stale.failures["other"])


def test_scans_that_fail_do_not_stop_the_others(tmp_path):
    cases = save_cases(tmp_path, one=ONE, other=OTHER)
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no scan")
    deployment = deploy(tmp_path / "out", make_recipe(), bad={"one/00001.bin"})
    deployment.segment([Case("broken", broken, None), *cases])
    assert sorted(deployment.failures) == ["broken", "one"] and not deployment.complete
    assert "one/00001.bin" in str(deployment.failures["one"])
    assert [path.name for path in (tmp_path / "out" / "masks").iterdir()] == ["other.nii.gz"]


def test_a_damaged_result_is_noticed(tmp_path):
    cases = save_cases(tmp_path, one=ONE)
    deployment = deploy(tmp_path / "out", make_recipe())
    compute = deployment.program.compute

    def damage(graph, batch, tensors, out, timing):
        complete = compute(graph, batch, tensors, out, timing)
        if graph.stem == "coarse":
            (out / "one" / "00000.bin").write_bytes(b"1234")
        return complete

    deployment.program.compute = damage
    deployment.segment(cases)
    assert "SHA-256" in str(deployment.failures["one"])


def test_a_program_that_is_not_there_or_does_nothing_is_said(tmp_path, capfd):
    arguments = Path("g.onnx"), 2, tmp_path / "m.txt", tmp_path, tmp_path / "t.txt"
    with pytest.raises(InputError, match="build.sh"):
        Program(tmp_path / "none", "CPU", 0).compute(*arguments)
    script = tmp_path / "program"
    script.write_text('#!/bin/sh\necho "$@" >&2\nexit $(cat "$0.status")\n')
    script.chmod(0o755)
    for status, complete in ((0, True), (1, False)):
        (tmp_path / "program.status").write_text(str(status))
        assert Program(script, "Ascend310", 3).compute(*arguments) is complete
    assert "--model g.onnx --batch 2 --manifest" in (said := capfd.readouterr().err)
    assert "--device Ascend310 --device-id 3" in said
    (tmp_path / "program.status").write_text("2")
    with pytest.raises(InputError, match=r"g\.onnx: .*exit status 2"):
        Program(script, "CPU", 0).compute(*arguments)

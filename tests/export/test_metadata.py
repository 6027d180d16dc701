"""What the JSON beside a graph says about every kind of stage."""

import json

import pytest
from tiny_model import tiny_recipe

from kidneyseg.export.graph import Graph, TensorSpec, input_shape
from kidneyseg.export.metadata import describe
from kidneyseg.model_folder.folder import checkpoint_path
from kidneyseg.recipe import parse_recipe

STACKS = {
    "sampling": {"size": [32, 32], "stack": 3, "slice_spacing": 1.0},
    "intensity": {"per_volume": True},
    "region": {"of": "coarse", "crop": "kidneys", "margin": 10, "least": 64, "voxels": "scan", "masked": True},
    "inference": {"batch_size": 2, "mirrors": ["z", "yx"]},
}
SLABS = {
    "sampling": {"slices": 16, "size": [32, 32], "stride": 8},
    "region": {"of": "coarse", "crop": "slices"},
    "inference": {"batch_size": 1, "merge": "centre"},
}
WHOLE = {"sampling": {"shape": [16, 32, 32]}, "region": {"of": "coarse", "crop": "none", "confined": True}}


@pytest.mark.parametrize(
    "fine, shape, said, unsaid",
    [
        (
            STACKS,
            [3, 32, 32],
            [
                "a box around each 26-connected component; margin 10, every side at least 64 voxels of the scan",
                '"slice_spacing_mm": 1.0',
                "outside the mask of stage 'coarse'",
                "3 slices around it",
                "of the input itself",
                '["z", "yx"]',
            ],
            ["window_weights", '"mean"'],
        ),
        (
            SLABS,
            [1, 16, 32, 32],
            ["first to the last axial slice", "the scan's own", "middle half", '"mean": 119.84'],
            ["outside the mask"],
        ),
        (
            WHOLE,
            [1, 16, 32, 32],
            ["the whole scan, if the mask of stage 'coarse' is not empty", '"region_voxels": [16, 32, 32]'],
            ["window_weights", "slice_spacing_mm"],
        ),
    ],
)
def test_json_says_every_region_and_sampling(fine, shape, said, unsaid, tmp_path):
    base = tiny_recipe().model_dump(mode="json", exclude_none=True)
    base["stages"][1] |= fine
    recipe = parse_recipe(base)
    stage, graph = recipe.stage("fine"), tmp_path / "fine.mindir"
    checkpoint_path(tmp_path, "fine").parent.mkdir()
    for file in (graph, checkpoint_path(tmp_path, "fine")):
        file.write_bytes(b"any")
    ports = TensorSpec("images", input_shape(stage, 2)), TensorSpec("probabilities", (2, 3, *stage.window))
    data = describe(Graph(graph, "MindIR", *ports), recipe, stage, tmp_path)["input"]
    text = json.dumps(data)
    assert data["shape"] == [2, *shape] and data["axes"] == ["batch", "channel", *"zyx"[-stage.dims :]]
    assert all(words in text for words in said) and not any(words in text for words in unsaid)

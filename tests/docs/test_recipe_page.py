"""docs/recipe.md says what the recipe's types say."""

import importlib.util
from pathlib import Path

GENERATOR = Path(__file__).resolve().parents[2] / "docs" / "make_recipe.py"


def generator():
    spec = importlib.util.spec_from_file_location("make_recipe", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_recipe_page_is_up_to_date():
    make_recipe = generator()
    current = make_recipe.PAGE.read_text(encoding="utf-8") == make_recipe.page()
    assert current, "docs/recipe.md is stale. Renew it: python docs/make_recipe.py"


def test_types_defaults_ranges_and_meanings_are_those_of_the_schema():
    page = generator().page()
    for row in (
        "| `overlap` | number | `0.5` | ≥ 0, < 1 |",
        '| `optimizer` | `adam`, `adamw`, `sgd` | `"adam"` |  |',
        "| [VolumeSampling](#volumesampling) or [WholeSampling](#wholesampling) or [SlabSampling](#slabsampling) "
        "or [SliceSampling](#slicesampling) | **required** |",
    ):
        assert row in page

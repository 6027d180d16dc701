"""Where recipes meet that name labels in different ways."""

from __future__ import annotations

from collections.abc import Sequence

from kidneyseg.errors import InputError
from kidneyseg.recipe.schema import Recipe


def common_merge(recipes: Sequence[Recipe]) -> dict[int, int]:
    """The labels to read as another one so that all of ``recipes`` mean the same: every merge of any of them.

    Where one recipe reads cysts as kidney, {3: 1}, what another one calls cyst is read as kidney, too, in its masks
    and in the truth.

    Raises:
        InputError: they read one label as different others, or call one label by different names.
    """
    merge: dict[int, int] = {}
    for recipe in recipes:
        for label, other in recipe.merge.items():
            if merge.setdefault(label, other) != other:
                raise _clash(recipe, f"label {label} as {other}", f"as {merge[label]}")
    for recipe in recipes:
        for label in {*recipe.merge.values()} & merge.keys():
            raise _clash(recipe, f"another label as {label}", f"{label} as {merge[label]}")
    names: dict[int, str] = {}
    for recipe in recipes:
        for name, label in recipe.labels.items():
            if names.setdefault(label, name) != name:
                raise _clash(recipe, f"label {label} as {name!r}", f"as {names[label]!r}")
    return merge


def common_labels(recipes: Sequence[Recipe]) -> dict[str, int]:
    """Name -> label of what all of ``recipes`` tell apart once :func:`common_merge` is applied.

    Raises:
        InputError: as `common_merge`, and one tells labels apart that another does not know: its silence on a tumour,
            for example, would count as a vote against it.
    """
    merge = common_merge(recipes)
    kept = [{name: label for name, label in recipe.labels.items() if label not in merge} for recipe in recipes]
    for recipe, labels in zip(recipes, kept):
        if set(labels.values()) != set(kept[0].values()):
            raise _clash(recipe, ", ".join(labels), ", ".join(kept[0]))
    return kept[0]


def _clash(recipe: Recipe, one: str, other: str) -> InputError:
    return InputError(
        f"recipe {recipe.name!r}",
        expected="labels as the other recipes have them",
        found=f"{one}, where another has {other}",
        remedy="Take recipes of the same labels",
    )

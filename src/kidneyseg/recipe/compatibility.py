"""The labels that several recipes share, for ensembles and comparisons."""

from __future__ import annotations

from collections.abc import Sequence

from kidneyseg.errors import InputError
from kidneyseg.recipe.schema import Recipe


def common_merge(recipes: Sequence[Recipe]) -> dict[int, int]:
    """Collect the ``merge`` entries of all ``recipes``, so that their labels mean the same.

    Example: one recipe reads cysts as kidney, {3: 1}. Then the cyst label of another recipe is read as kidney too, both
    in its predictions and in the ground truth.

    Returns:
        Label -> the label that it is read as.

    Raises:
        InputError: two recipes merge one label into different labels, or give one label different names.
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
    """Return the labels (name -> number) that all ``recipes`` have after :func:`common_merge`.

    Raises:
        InputError: as for ``common_merge``, or a recipe has a label that another one lacks. A recipe without tumours,
            for example, would count as a vote against every tumour.
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
        remedy="Use recipes with the same labels",
    )

"""Overlapping regions, against sums over the whole volume."""

import numpy as np

from kidneyseg.inference.overlapping_regions import merge_overlaps

SHAPE = (12, 20, 30)
BOXES = [
    ((0, 6), (0, 10), (0, 12)),
    ((4, 12), (5, 15), (8, 16)),
    ((5, 9), (6, 9), (9, 11)),  # three that overlap
    ((0, 12), (16, 20), (0, 30)),
    ((0, 4), (0, 10), (16, 20)),
]  # one alone, one that touches the three


def parts(seed=0):
    rng = np.random.default_rng(seed)
    return [
        (tuple(slice(*side) for side in box), rng.random((3, *(b - a for a, b in box)), np.float32)) for box in BOXES
    ]


def in_slabs(probabilities, height=3):
    for first in range(0, probabilities.shape[1], height):
        yield first, probabilities[:, first : first + height]


def test_the_mean_counts_and_boxes_share_no_voxel():
    given = parts()
    sums, counts = np.zeros((3, *SHAPE)), np.zeros(SHAPE)
    for box, probabilities in given:
        sums[(slice(None), *box)] += probabilities
        counts[box] += 1
    merged = merge_overlaps([(box, in_slabs(p)) for box, p in given], classes=3)
    got, held = np.zeros((3, *SHAPE)), np.zeros(SHAPE, int)
    for box, slabs in merged:
        planes = list(slabs)
        assert [first for first, _ in planes] == list(np.cumsum([0] + [p.shape[1] for _, p in planes])[:-1])
        got[(slice(None), *box)] = np.concatenate([plane for _, plane in planes], axis=1)
        held[box] += 1
    assert len(merged) == 3 and held.max() == 1 and (held[counts > 0] == 1).all()
    np.testing.assert_allclose(got, sums / np.maximum(counts, 1), atol=1e-6)


def test_nothing_is_computed_before_it_is_taken():
    taken = []

    def slabs(name, probabilities):
        taken.append(name)
        yield from in_slabs(probabilities)

    merged = merge_overlaps([(box, slabs(n, p)) for n, (box, p) in enumerate(parts())], classes=3)
    assert taken == []
    for _, found in merged[-1:]:
        list(found)
    assert 0 < len(taken) < len(BOXES)


def test_parts_are_computed_side_by_side():
    height, ahead = 3, []

    def slabs(name, probabilities):
        for first, slab in in_slabs(probabilities, height):
            reached[name] = BOXES[name][0][0] + first
            yield first, slab

    reached = {}
    given = parts()[:3]
    ((hull, merged),) = merge_overlaps([(box, slabs(n, p)) for n, (box, p) in enumerate(given)], classes=3)
    for plane, _ in merged:
        ahead.append(max(reached.values()) - plane)
    assert len(ahead) == hull[0].stop - hull[0].start == 12 and reached.keys() == {0, 1, 2}
    assert max(ahead) <= 0  # no slab begins before the plane that needs it

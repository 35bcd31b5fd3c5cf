import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trfjax.training.masks import dice, lesions, surfaces


def mask(rows):
    return np.array([[c == "#" for c in row] for row in rows])


def dice_by_sets(a, b):
    a, b = (set(map(tuple, np.argwhere(m))) for m in (a, b))
    return 2 * len(a & b) / (len(a) + len(b))


def surfaces_by_hand(a, b, spacing):
    """All distances between two sets of edge voxels, in loops."""

    def edge(m):
        found = []
        for place in np.argwhere(m):
            for axis in range(m.ndim):
                for step in (-1, 1):
                    beside = place.copy()
                    beside[axis] += step
                    inside = (beside >= 0).all() and (beside < m.shape).all()
                    if not inside or not m[tuple(beside)]:
                        found.append(tuple(place * spacing))
        return np.array(sorted(set(found)))

    first, second = edge(a), edge(b)
    apart = np.linalg.norm(first[:, None] - second[None], axis=-1)
    one, other = apart.min(axis=1), apart.min(axis=0)
    worst = max(np.percentile(one, 95), np.percentile(other, 95))
    return np.concatenate([one, other]).mean(), worst


def test_dice_is_twice_the_common_part(rng):
    a, b = mask(["##.", "#.."]), mask([".##", "#.."])
    assert dice(a, b) == 2 * 2 / (3 + 3)
    for _ in range(5):
        a, b = rng.random((2, 4, 5, 3)) > 0.5
        assert dice(a, b) == pytest.approx(dice_by_sets(a, b), rel=1e-12)
    empty = np.zeros_like(a)
    assert dice(empty, a) == 0 and np.isnan(dice(empty, empty))


def test_lesions_count_one_by_one():
    truth = mask(["##....", "##....", "......", "....#.", "......"])
    guess = mask(["##....", "#.....", "......", "......", "#....."])
    found = lesions(guess, truth)
    # The large lesion: 3 of 4 pixels, Dice 6/7; the small one missed; one invented.
    assert found.dice == pytest.approx(6 / 7 / 3)
    assert (found.found, found.missed, found.invented) == (1, 1, 1)


def test_corners_hold_a_lesion_together_and_nothing_is_nan():
    assert lesions(mask(["#.", ".#"]), mask(["#.", ".#"])).found == 1
    nothing = np.zeros((3, 3), bool)
    assert np.isnan(lesions(nothing, nothing).dice)
    assert lesions(mask(["#.#"]), mask(["..."])).invented == 2


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (3.0, 0.5)])
def test_surfaces_are_all_distances(rng, spacing):
    for _ in range(3):
        a, b = rng.random((2, 6, 7)) > 0.6
        found = surfaces(a, b, spacing)
        mean, worst = surfaces_by_hand(a, b, np.array(spacing))
        assert found.mean == pytest.approx(mean, rel=1e-12)
        assert found.hd95 == pytest.approx(worst, rel=1e-12)


def test_a_shift_is_as_far_as_it_is_in_mm():
    a = np.zeros((5, 9, 9), bool)
    a[2, 2:6, 4] = True
    b = np.roll(a, 2, axis=0)
    found = surfaces(a, b, (3.0, 1.0, 1.0))
    assert found.mean == found.hd95 == 6.0


def test_empty_masks_have_no_surface():
    full, empty = np.ones((3, 3), bool), np.zeros((3, 3), bool)
    assert surfaces(full, empty, (1.0, 1.0)).mean == np.inf
    assert np.isnan(surfaces(empty, empty, (1.0, 1.0)).hd95)


def test_what_is_no_mask_is_told():
    with pytest.raises(TypeError, match="masks are bool, not int64"):
        dice(np.ones(3, np.int64), np.ones(3, bool))
    with pytest.raises(ValueError, match=r"shapes \(3,\) and \(4,\) differ"):
        dice(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(ValueError, match=r"spacing: .* 2 axes"):
        surfaces(np.ones((3, 3), bool), np.ones((3, 3), bool), (1.0,))


few = settings(max_examples=25, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**32 - 1)


def two_masks(seed, shape=(5, 6, 4)):
    rng = np.random.default_rng(seed)
    return rng.random((2, *shape)) > rng.uniform(0.4, 0.9)


@few
@given(seeds)
def test_laws_of_overlap(seed):
    a, b = two_masks(seed)
    a[0, 0, 0] = b[1, 1, 1] = True
    found = dice(a, b)
    assert 0 <= found <= 1 and found == dice(b, a) and dice(a, a) == 1
    # Dice and intersection over union are one: D = 2 J / (1 + J).
    overlap = (a & b).sum() / (a | b).sum()
    assert found == pytest.approx(2 * overlap / (1 + overlap))
    assert dice(a, ~a) == 0
    assert dice(a | b, a & b) <= dice(a | b, a)


@few
@given(seeds)
def test_laws_of_surfaces(seed):
    a, b = two_masks(seed)
    a[0, 0, 0] = b[1, 1, 1] = True
    spacing = (2.0, 1.0, 0.5)
    found, back = surfaces(a, b, spacing), surfaces(b, a, spacing)
    assert found.mean == pytest.approx(back.mean) and found.hd95 == back.hd95
    same = surfaces(a, a, spacing)
    assert (same.mean, same.hd95) == (0, 0)
    twice = surfaces(a, b, (4.0, 2.0, 1.0))
    assert twice.mean == pytest.approx(2 * found.mean)
    turned = surfaces(a.transpose(2, 0, 1), b.transpose(2, 0, 1), (0.5, 2.0, 1.0))
    assert turned.hd95 == pytest.approx(found.hd95)
    assert 0 <= found.mean <= np.linalg.norm(np.multiply(spacing, a.shape))


@few
@given(seeds)
def test_laws_of_lesions(seed):
    guess, truth = two_masks(seed, (7, 7))
    found, back = lesions(guess, truth), lesions(truth, guess)
    assert found.missed == back.invented and found.invented == back.missed
    total = found.found + found.missed + found.invented
    if total:
        assert 0 <= found.dice <= found.found / total
    perfect = lesions(truth, truth)
    assert perfect.missed == perfect.invented == 0
    assert np.isnan(perfect.dice) if not truth.any() else perfect.dice == 1
    # Lesions that do not touch: each is judged by itself.
    side = np.zeros((7, 1), bool)
    both = [np.hstack([m, side, m]) for m in (guess, truth)]
    twice = lesions(*both)
    assert twice.found == 2 * found.found and twice.invented == 2 * found.invented
    np.testing.assert_allclose(twice.dice, found.dice)


@pytest.mark.parametrize("measure", [dice, lesions])
@pytest.mark.parametrize(
    ("guess", "truth", "error", "message"),
    [
        (np.ones(3), np.ones(3, bool), TypeError, "masks are bool, not float64"),
        (np.ones(3, bool), np.ones(3, int), TypeError, "not bool and int64"),
        (np.ones((3, 1), bool), np.ones(3, bool), ValueError, r"\(3, 1\) and \(3,\)"),
    ],
)  # fmt: skip
def test_masks_that_cannot_be_compared(measure, guess, truth, error, message):
    with pytest.raises(error, match=f"predicted, truth: .*{message}"):
        measure(guess, truth)


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 0.0), (1.0, -1.0), (1.0, np.nan)])
def test_a_spacing_that_is_none(spacing):
    one = np.ones((3, 3), bool)
    with pytest.raises(ValueError, match=r"spacing: .* give one distance above 0 for"):
        surfaces(one, one, spacing)

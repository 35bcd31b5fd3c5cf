import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.features.pixels import draw_pixels, near_boundary
from trfjax.features.sampling import sample_maps
from trfjax.models.resize import resize_bilinear


def draw(labels, **settings):
    settings = {"pixels": 50, "ignore": 255, "identity": "d", **settings}
    names = settings.pop("image_ids", [f"i{k}" for k in range(len(labels))])
    return draw_pixels(iter(labels), image_ids=names, **settings)


@pytest.fixture
def labels(rng):
    maps = rng.choice([0, 1, 2, 255], (6, 20, 30), p=[0.6, 0.3, 0.02, 0.08])
    return list(maps.astype(np.int32))


def places(drawn):
    return set(
        zip(
            drawn.image.tolist(), drawn.row.tolist(), drawn.column.tolist(), strict=True
        )
    )


@pytest.mark.parametrize("strategy", ["uniform", "balanced", "boundary", "per_image"])
def test_drawn_once_each_never_ignored_and_again_the_same(labels, strategy):
    drawn = draw(labels, pixels=200, strategy=strategy)
    assert len(drawn) == 200 == len(places(drawn))
    stored = np.stack(labels)[drawn.image, drawn.row, drawn.column]
    np.testing.assert_array_equal(stored, drawn.labels)
    assert (drawn.labels != 255).all()
    assert places(drawn) == places(draw(labels, pixels=200, strategy=strategy))
    other = draw(labels, pixels=200, strategy=strategy, seed=1)
    assert places(drawn) != places(other)


def test_every_pixel_is_as_likely(labels):
    valid = sum(int((label != 255).sum()) for label in labels)
    hits = np.zeros((6, 20, 30))
    for seed in range(200):
        drawn = draw(labels, pixels=valid // 2, seed=seed)
        hits[drawn.image, drawn.row, drawn.column] += 1
    rates = hits[np.stack(labels) != 255] / 200
    assert abs(rates.mean() - 0.5) < 1e-3
    # Binomial: a standard deviation of sqrt(1/4/200) = 0.035.
    assert abs(rates.std() - 0.035) < 0.003 and np.abs(rates - 0.5).max() < 0.2


def test_a_draw_does_not_depend_on_the_other_images_or_on_how_many():
    labels = [np.zeros((10, 10), np.int32)] * 2
    few, many = draw(labels, pixels=20), draw(labels, pixels=60)
    assert places(few) < places(many)
    alone = draw(labels[:1], pixels=100, image_ids=["i1"], strategy="per_image")
    assert len(alone) == 100


def test_balanced_gives_what_the_rare_class_lacks_to_the_others(labels):
    rare = sum(int((label == 2).sum()) for label in labels)
    drawn = draw(labels, pixels=600, strategy="balanced")
    counts = np.bincount(drawn.labels)
    assert counts[2] == rare < 200
    assert abs(int(counts[0]) - int(counts[1])) <= 1 and counts.sum() == 600


def test_per_image_takes_the_same_number_from_each():
    labels = [np.zeros((4, 4), np.int32), np.full((4, 4), 255), np.ones((9, 9), int)]
    drawn = draw(labels, pixels=31, strategy="per_image")
    assert np.bincount(drawn.image).tolist() == [11, 0, 10]


def test_the_boundary_is_as_by_hand(labels):
    label, radius = labels[0], 2
    found = near_boundary(label, ignore=255, radius=radius)
    for row, column in np.ndindex(label.shape):
        window = label[
            max(row - radius, 0) : row + radius + 1,
            max(column - radius, 0) : column + radius + 1,
        ]
        others = set(window.ravel().tolist()) - {255, int(label[row, column])}
        expected = label[row, column] != 255 and bool(others)
        assert found[row, column] == expected
    edge = np.repeat(np.array([[0] * 6 + [255] + [1] * 6], np.int32), 4, axis=0)
    assert near_boundary(edge, ignore=255, radius=1).sum() == 0
    assert near_boundary(edge, ignore=255, radius=2).sum() == 8


def test_fewer_pixels_than_asked_are_all_taken(labels):
    drawn = draw(labels, pixels=10**6)
    assert len(drawn) == drawn.total_valid == sum((la != 255).sum() for la in labels)


def test_nothing_to_draw_is_an_error():
    empty = [np.full((4, 4), 255, np.int32)] * 2
    with pytest.raises(ValueError, match="all of them are ignored"):
        draw(empty)
    with pytest.raises(ValueError, match="within 3 pixels"):
        draw([np.zeros((8, 8), np.int32)], strategy="boundary")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "random"}, "'random' is none of uniform"),
        ({"pixels": 0}, "pixels: 0"),
        ({"seed": -1}, "seed: -1"),
    ],
)
def test_wrong_settings(labels, settings, message):
    with pytest.raises(ValueError, match=message):
        draw(labels, **settings)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(
    ("native", "size"),
    [((5, 7), (40, 56)), ((9, 4), (11, 30)), ((12, 10), (5, 6)), ((6, 8), (6, 8)),
     ((1, 1), (4, 5))],
)  # fmt: skip
def test_sampling_equals_resizing_and_gathering(rng, native, size, align_corners):
    maps = rng.normal(size=(3, *native, 4)).astype(np.float32)
    where = np.column_stack([rng.integers(0, k, 300) for k in (3, *size)])
    resized = resize_bilinear(jnp.asarray(maps), size, align_corners=align_corners)
    found = sample_maps(maps, where, size, align_corners=align_corners)
    np.testing.assert_allclose(found, np.asarray(resized)[tuple(where.T)], atol=2e-6)


def test_sampling_grids_of_several_sizes_and_places_outside(rng):
    maps = rng.normal(size=(2, 4, 4, 3)).astype(np.float32)
    where, sizes = np.array([[0, 7, 3], [1, 2, 9]]), np.array([[8, 8], [4, 16]])
    found = sample_maps(maps, where, sizes)
    for k in range(2):
        alone = sample_maps(maps, where[k : k + 1], tuple(sizes[k].tolist()))
        np.testing.assert_array_equal(found[k], alone[0])
    with pytest.raises(ValueError, match="outside"):
        sample_maps(maps, np.array([[0, 8, 0]]), (8, 8))

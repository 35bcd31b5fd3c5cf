"""Feature maps of several levels, read at the pixels and put side by side."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.ranking.test_rank import dataset, sees, sources
from trfjax.features.extract import extract
from trfjax.features.levels import WIDE, level_name, levels_of
from trfjax.features.predictor import as_predictor
from trfjax.features.sampling import sample_maps
from trfjax.features.stream import stream_maps
from trfjax.models import create_model
from trfjax.ranking.rank import rank
from trfjax.state import apply, level_taps


def deep(weight):
    """A network with a coarse level of three columns and a fine one of one."""

    def network(images):
        logits = np.asarray(sees(weight)(images), np.float32)
        coarse = logits[:, ::2, ::2]
        return {"logits": logits, "levels": {"coarse": coarse, "fine": logits[..., :1]}}

    return network


def test_the_levels_a_network_declares():
    model = create_model("unet", num_classes=3, width=4)
    names = sorted(level_taps(model))
    images = np.random.default_rng(0).random((2, 32, 32, 3)).astype(np.float32)
    maps = as_predictor(model).maps(images, ("probs", "levels"))
    expected = apply(model, jnp.asarray(images), taps=tuple(names)).levels
    assert set(maps) == {"logits", *(level_name(i, n) for i, n in enumerate(names))}
    for place, name in enumerate(names):
        found = maps[level_name(place, name)]
        np.testing.assert_allclose(found, expected[name], atol=1e-5)
    with pytest.raises(ValueError, match="gives no 'levels'"):
        as_predictor(sees(1)).maps(images, ("levels",))


def test_levels_are_read_at_the_pixels():
    data = dataset("target")
    for rows in stream_maps(deep(60), data, spaces=("levels",), progress=False):
        image = data[rows.image]["image"][None] / np.float32(255)
        maps = deep(60)(image)["levels"]
        place = np.argwhere(data[rows.image]["label"] != 255)
        coordinates = np.column_stack([np.zeros(len(place), int), place])
        expected = [sample_maps(maps[n], coordinates, (16, 16)) for n in maps]
        got = rows.features["levels"]
        np.testing.assert_allclose(got, np.concatenate(expected, 1), rtol=1e-4)
    drawn = extract(deep(60), data, spaces=("levels",), pixels=50, progress=False)
    assert drawn.space("levels").shape == (50, 4)


def test_wide_levels_are_projected():
    rng = np.random.default_rng(0)
    narrow = rng.normal(size=(40, 5)).astype(np.float32)
    wide = rng.normal(size=(40, 300)).astype(np.float32)
    found = levels_of({"levels/00/a": narrow, "levels/01/b": wide, "logits": narrow})
    assert found.shape == (40, 5 + WIDE)
    np.testing.assert_array_equal(found[:, :5], narrow)
    kept = found[:, 5:]
    gaps = [np.sum((x[:, None] - x) ** 2, axis=-1)[np.triu_indices(40, 1)]
            for x in (wide, kept)]  # fmt: skip
    ratio = gaps[1] / gaps[0]
    # Of 64 of 300 directions: mean 1, deviation about sqrt(2 / 64).
    assert abs(ratio.mean() - 1) < 0.05 and ratio.std() < 0.25


def test_ranked_on_levels():
    models = {"keen": deep(60), "dim": deep(3), "blind": deep(0)}
    metrics = ("linear_probe@levels", "h_score@levels", "otce@levels", "logme@levels")
    ranking = rank(
        sources(**models),
        dataset("target"),
        metrics=metrics,
        combine="ranks",
        repeats=1,
        bootstrap=10,
        progress=False,
    )
    for metric in metrics:
        cells = ranking.column(metric)
        assert all(c.status == "ok" for c in cells), [c.error for c in cells]
        assert cells[-1].source == "blind" and cells[0].features == "levels"
        assert ranking.settings["pixels"][metric] == 10_000
    assert ranking.best() in ("keen", "dim")
    with pytest.raises(ValueError, match="on levels needs draws"):
        rank(sources(**models), dataset("t"), metrics=("logme@levels",), pixels="all")

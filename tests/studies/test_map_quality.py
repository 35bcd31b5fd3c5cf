"""Whether maps predict errors: cells by hand, and runs whose answer is known."""

import dataclasses

import numpy as np
import pytest

from tests.training.cases import network, squares
from trfjax.maps.cells import Grid
from trfjax.studies.map_quality import (
    BASELINES,
    CellRun,
    cell_sums,
    errors_after,
    judge_maps,
    maps_before,
)


def test_cells_are_summed_with_their_partial_ends():
    values = np.random.default_rng(0).normal(size=(2, 7, 10))
    found = cell_sums(values, Grid(7, 10, 3))
    assert found.shape == (2, 3, 4)
    for r in range(3):
        for c in range(4):
            cell = values[:, 3 * r : 3 * r + 3, 3 * c : 3 * c + 3]
            np.testing.assert_allclose(found[:, r, c], cell.sum(axis=(1, 2)))


def test_baselines_by_hand():
    model, shots = network(), squares(3)
    found = maps_before(model, shots, shots, metrics=("leep",), stride=16)
    assert tuple(found) == ("leep", *BASELINES)
    labels = np.stack([example["label"] for example in shots])
    valid = labels != shots.ignore
    shares = np.bincount(labels[valid]) / valid.sum()
    corner = np.s_[:, :16, :16]
    expected = np.log(shares[labels[corner][valid[corner]]]).mean()
    np.testing.assert_allclose(found["class frequency"][0, 0], expected, rtol=1e-9)
    assert (found["confidence"] > 1 / 3).all() and (found["confidence"] <= 1).all()
    assert (found["errors as it is"] <= 0).all()


def runs(noise, sources=3, images=12, seed=0):
    """Make runs whose score map is the chance of being right, blurred by noise."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(sources):
        right = rng.uniform(0.3, 0.95, size=(6, 8))
        pixels = np.full((images, 6, 8), 64.0)
        wrong = rng.binomial(64, 1 - right, size=pixels.shape).astype(float)
        maps = {"score": right + noise * rng.normal(size=right.shape)}
        maps |= {name: rng.normal(size=right.shape) for name in BASELINES}
        run = CellRun(source=f"s{i}", seed=0, maps=maps, wrong=wrong, pixels=pixels)
        made.append(run)
    return made


def test_a_map_that_knows_is_found_and_one_that_does_not_is_not():
    score, *plain = judge_maps(runs(0.0), resamples=50)
    # 768 pixels a cell leave an error of 0.018 where cells spread by 0.19.
    assert score.correlation.low > 0.95 and score.beyond.low > 0.95
    for one in plain:
        assert one.correlation.low < 0.3 and np.isnan(one.beyond.value)
    upside_down = [
        dataclasses.replace(run, maps=run.maps | {"score": -run.maps["score"]})
        for run in runs(0.0)
    ]
    assert judge_maps(upside_down, resamples=5)[0].correlation.value < -0.95


def test_intervals_hold_the_truth_over_sources():
    """Of pools drawn anew, the 90 % interval holds the mean correlation of all."""
    found = [
        judge_maps(runs(0.2, sources=8, seed=i), resamples=60)[0].correlation
        for i in range(40)
    ]
    truth = np.mean([one.value for one in found])
    held = np.mean([one.low <= truth <= one.high for one in found])
    # Eight sources make percentile intervals a little narrow; below .72 would be
    # three standard errors from .85.
    assert held >= 0.72


def test_cells_without_a_value_are_left_out():
    known, holes = runs(0.0), []
    for run in known:
        values = run.maps["score"].copy()
        values[0] = np.nan
        holes.append(dataclasses.replace(run, maps=run.maps | {"score": values}))
    cut = [
        dataclasses.replace(
            run,
            maps={name: values[1:] for name, values in run.maps.items()},
            wrong=run.wrong[:, 1:],
            pixels=run.pixels[:, 1:],
        )
        for run in known
    ]
    some, same = (judge_maps(r, resamples=3)[0].correlation for r in (holes, cut))
    assert some.value == pytest.approx(same.value, rel=1e-12)


def test_runs_that_do_not_belong_together():
    one, two = runs(0.0, sources=1), runs(0.0, sources=1, images=5)
    for bad in ([], one + two):
        with pytest.raises(ValueError, match="at least one, all with the same maps"):
            judge_maps(bad)


def test_errors_need_the_classes_of_the_network():
    model, test = network(), squares(2)
    wrong, pixels = errors_after(model, test, 16)
    assert wrong.shape == pixels.shape == (2, 2, 2) and (wrong <= pixels).all()
    other = squares(2, names=("x", "y", "z"))
    with pytest.raises(ValueError, match="classes x, y, z, and the network tells"):
        errors_after(model, other, 16)

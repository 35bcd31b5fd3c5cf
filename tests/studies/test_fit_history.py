import csv
from pathlib import Path

import numpy as np
import pytest

from trfjax.errors import DataError
from trfjax.scores.otce.fit import fit_otce
from trfjax.studies.fit_history import fit_history, leave_one_target_out

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "tables"


def crossed(sources=6, targets=8, *, seed=0, slope=0.5, spread=(0.3, 0.6, 0.2)):
    """Every source on every target, drawn from the model itself."""
    rng = np.random.default_rng(seed)
    s, t = (part.ravel() for part in np.indices((sources, targets)))
    score = rng.normal(size=s.size)
    y = slope * score + 2.0
    y += rng.normal(size=sources)[s] * spread[0]
    y += rng.normal(size=targets)[t] * spread[1]
    y += rng.normal(size=s.size) * spread[2]
    return {
        "source": [f"s{i}" for i in s],
        "target": [f"t{i}" for i in t],
        "logme": score,
        "miou": y,
    }


def part(table, rows):
    return {name: np.asarray(column)[rows] for name, column in table.items()}


def test_variances_of_a_balanced_layout_are_those_of_its_mean_squares():
    """Closed form: Searle, Casella and McCulloch, "Variance Components", 4.6."""
    s, t = 6, 8
    table = crossed(s, t)
    found = fit_history(table, scores=())
    y = np.asarray(table["miou"]).reshape(s, t)
    rows, columns = y.mean(axis=1), y.mean(axis=0)
    rest = y - rows[:, None] - columns + y.mean()
    error = np.sum(rest**2) / ((s - 1) * (t - 1))
    between = t * rows.var(ddof=1), s * columns.var(ddof=1)
    assert found.residual_variance == pytest.approx(error, rel=1e-3)
    assert found.source_variance == pytest.approx((between[0] - error) / t, rel=1e-3)
    assert found.target_variance == pytest.approx((between[1] - error) / s, rel=1e-3)
    # The best predictor of an effect is its mean, shrunk by what noise is in it.
    shrunk = (rows - y.mean()) * (1 - error / between[0])
    effects = [found.source_effects[f"s{i}"][0] for i in range(s)]
    np.testing.assert_allclose(effects, shrunk, rtol=1e-3)


def restricted(table, variances):
    """Minus twice the restricted log-likelihood from its definition, and the slopes."""
    y = np.asarray(table["miou"])
    score, target = np.asarray(table["logme"]), np.asarray(table["target"])
    centred = [
        x - score[target == t].mean() for x, t in zip(score, target, strict=True)
    ]
    design = np.stack([np.ones(len(y)), np.array(centred)], axis=1)
    whole = variances[2] * np.eye(len(y))
    for name, variance in zip(("source", "target"), variances, strict=False):
        names = np.asarray(table[name])
        whole += variance * (names[:, None] == names[None])
    inverse = np.linalg.inv(whole)
    fixed = design.T @ inverse @ design
    slopes = np.linalg.solve(fixed, design.T @ inverse @ y)
    rest = y - design @ slopes
    value = np.linalg.slogdet(whole)[1] + np.linalg.slogdet(fixed)[1]
    return value + rest @ inverse @ rest, slopes


def test_an_unbalanced_fit_maximises_the_restricted_likelihood():
    rng = np.random.default_rng(3)
    table = crossed(seed=1)
    table = part(table, rng.permutation(48)[:35])
    found = fit_history(table)
    best = found.source_variance, found.target_variance, found.residual_variance
    least, slopes = restricted(table, best)
    for i in range(3):
        for factor in (0.9, 1.1):
            moved = [v * (factor if i == j else 1) for j, v in enumerate(best)]
            assert restricted(table, moved)[0] > least
    np.testing.assert_allclose([found.intercept, found.slopes["logme"]], slopes, 1e-6)


def test_without_effects_it_is_the_full_otce():
    rng = np.random.default_rng(0)
    domain, task = rng.uniform(size=(2, 12))
    y = 0.9 - 0.3 * domain - 0.2 * task + 0.01 * rng.normal(size=12)
    table = {
        "source": ["a", "b"] * 6, "target": list("uvwxyz") * 2,
        "domain_difference": domain, "task_difference": task, "accuracy": y,
    }  # fmt: skip
    found = fit_history(
        table, measured="accuracy", scores=("domain_difference", "task_difference"),
        centred=False, source_effects=False, target_effects=False,
    )  # fmt: skip
    expected = fit_otce(domain, task, y).predict(domain, task)
    np.testing.assert_allclose(found.predict(table).mean, expected, atol=1e-6)


def test_a_constant_score_has_no_slope():
    table = crossed() | {"logme": np.ones(48)}
    found = fit_history(table)
    assert found.slopes["logme"] == pytest.approx(0, abs=1e-6)
    without = fit_history(table, scores=())
    np.testing.assert_allclose(
        found.predict(table).mean, without.predict(table).mean, atol=1e-4
    )


def test_intervals_of_new_targets_cover():
    """Each table of 8 targets predicts a ninth; its six rows share one effect."""
    inside = []
    for seed in range(40):
        table = crossed(targets=9, seed=seed)
        new = np.asarray(table["target"]) == "t8"
        found = fit_history(part(table, ~new)).predict(part(table, new), level=0.9)
        measured = np.asarray(table["miou"])[new]
        inside.append(np.mean((found.low <= measured) & (measured <= found.high)))
    # Three standard errors of 40 tables: at most 3 sqrt(.9 x .1 / 40) = 0.142.
    assert abs(np.mean(inside) - 0.9) < 0.142


def test_leaving_a_target_out_is_a_fit_of_the_others():
    table = crossed(4, 5)
    found = leave_one_target_out(table)
    out = np.asarray(table["target"]) == "t2"
    expected = fit_history(part(table, ~out)).predict(part(table, out))
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left[out], right, rtol=2e-3)


def test_a_table_is_read_from_a_file(tmp_path):
    table = crossed(4, 5)
    path = tmp_path / "table.csv"
    with open(path, "w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    assert fit_history(path).slopes == pytest.approx(fit_history(table).slopes)
    path.write_text("source,target\n1,2,3\n")
    with pytest.raises(DataError, match="cannot be read as a table"):
        fit_history(path)
    with pytest.raises(DataError, match=r"neither a \.csv nor a \.parquet"):
        fit_history(__file__)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"miou": None}, "no column 'miou'; there are source"),
        ({"logme": [np.nan] * 48}, "'logme' has 48 values that are not finite"),
        ({"logme": [1.0]}, "equally long"),
        ({"logme": ["x"] * 48}, "holds other than numbers"),
        ({"target": ["t"] * 48}, "48 rows of 1 targets"),
    ],
)
def test_tables_that_cannot_be_fitted(change, message):
    table = {k: v for k, v in (crossed() | change).items() if v is not None}
    with pytest.raises(ValueError, match=message):
        fit_history(table)


def test_leaving_out_needs_three_targets():
    with pytest.raises(ValueError, match="at least 3"):
        leave_one_target_out(crossed(targets=2))


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared data")
def test_on_the_published_table_the_first_choice_loses_little():
    path = SHARED / "segmentation_17x17.csv"
    found = leave_one_target_out(path, scores=("logme",))
    with open(path, newline="") as opened:
        rows = list(csv.DictReader(opened))
    measured = np.array([float(row["miou"]) for row in rows])
    targets = np.array([row["target"] for row in rows])
    lost = []
    for name in np.unique(targets):
        here = np.flatnonzero(targets == name)
        lost.append(measured[here].max() - measured[here[found.mean[here].argmax()]])
    assert 100 * np.mean(lost) <= 0.23
    inside = (found.low <= measured) & (measured <= found.high)
    assert 0.85 <= inside.mean() <= 0.95

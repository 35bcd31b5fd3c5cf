from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from trfjax.files import read_table
from trfjax.statistics.choice import regret_at_1
from trfjax.statistics.correlation import spearman, weighted_kendall
from trfjax.statistics.static import relative_ranks, static_ranking
from trfjax.statistics.targets import by_target

TABLE = Path(__file__).parents[3] / "shared" / "data" / "tables"
TABLE = TABLE / "segmentation_17x17.csv"


def test_it_is_the_mean_place_on_the_other_targets(rng):
    measured = rng.normal(size=(4, 6))
    measured[1, 2] = measured[3, 0] = np.nan
    found = static_ranking(measured)
    for t in range(4):
        for s in range(6):
            if np.isnan(measured[t, s]):
                assert np.isnan(found[t, s])
                continue
            places = []
            for other in set(range(4)) - {t}:
                row = measured[other]
                if np.isfinite(row[s]):
                    known = row[np.isfinite(row)]
                    below = (known < row[s]).sum() + (known == row[s]).sum() / 2
                    places.append(below / len(known))
            assert found[t, s] == pytest.approx(np.mean(places))


def test_ties_share_a_place():
    np.testing.assert_allclose(
        relative_ranks(np.array([[1.0, 2.0, 2.0, 5.0]])), [[0.125, 0.5, 0.5, 0.875]]
    )


def test_a_single_target_says_nothing_of_itself(rng):
    assert np.isnan(static_ranking(rng.normal(size=(1, 5)))).all()
    alone = np.array([[1.0, 2.0, np.nan], [np.nan, 1.0, 2.0]])
    assert np.isnan(static_ranking(alone)[0, 0])  # measured on this target only


@pytest.mark.shared
def test_a_published_table_gives_the_known_figures():
    """Means over 17 targets as computed with SciPy, in the design's sheet of scores."""
    if not TABLE.is_file():
        pytest.skip("no ../shared/data")
    table = read_table(TABLE)
    names = sorted(set(table["source"]))
    truth, logme = np.full((2, len(names), len(names)), np.nan)
    rows = zip(*(table[c] for c in ("source", "target", "miou", "logme")), strict=True)
    for source, target, miou, score in rows:
        place = names.index(target), names.index(source)
        truth[place], logme[place] = miou, score
    static = static_ranking(truth)
    # With three digits, as they were written down; points where mIoU is a share.
    scale = 1 if np.nanmax(truth) > 1 else 100
    for scores, rho, tau, lost in (
        (logme, 0.655, 0.639, 0.49),
        (static, 0.571, 0.470, 2.03),
    ):
        assert np.nanmean(by_target(spearman, scores, truth)) == pytest.approx(
            rho, abs=6e-4
        )
        assert np.nanmean(by_target(weighted_kendall, scores, truth)) == pytest.approx(
            tau, abs=6e-4
        )
        regret = scale * np.nanmean(by_target(regret_at_1, scores, truth))
        assert regret == pytest.approx(lost, abs=6e-3)


def test_ranks_are_those_of_scipy(rng):
    values = rng.integers(0, 4, size=(3, 9)).astype(float)
    for row, ranks in zip(values, relative_ranks(values), strict=True):
        np.testing.assert_allclose(ranks, (rankdata(row) - 0.5) / 9)
        assert spearmanr(row, ranks).statistic == pytest.approx(1)

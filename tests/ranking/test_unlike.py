import logging

import numpy as np

from tests.ranking.test_rank import QUICK, dataset, sees
from tests.ranking.test_result import ranking_of
from trfjax.ranking.cell import Cell
from trfjax.ranking.rank import Source, rank
from trfjax.ranking.run import said_once
from trfjax.ranking.unlike import unlike


def seen(name, score=1.0, **traits):
    return Cell(name, "t", "m", score=score, details={"traits": traits})


def test_sources_of_one_kind_need_no_warning():
    assert unlike([seen("a", width=8), seen("b", width=8)]) == ()
    assert unlike([Cell("a", "t", "m", score=1.0)]) == ()


def test_what_sets_sources_apart_is_named():
    (said,) = unlike([seen("a", width=8), seen("b", width=64)])
    assert "m does not compare these sources" in said
    assert "different width (64, 8)" in said
    (said,) = unlike([seen("a", architecture="unet"), seen("b", architecture="fcn8s")])
    assert 'features="penultimate"' in said


def test_a_source_side_of_another_size_is_named():
    (said,) = unlike([seen("a", size="32 x 64", source_size="96 x 192")])
    assert "(32 x 64, 96 x 192); extract all at one size" in said


def test_a_source_without_a_score_sets_nobody_apart():
    assert unlike([seen("a", width=8), seen("b", np.nan, width=64)]) == ()


def test_the_table_says_it():
    ranking = ranking_of(seen("a", width=8), seen("b", width=64))
    assert ranking.unlike
    assert "warning: m does not compare these sources" in str(ranking)


def test_images_of_another_size_are_seen_in_a_ranking():
    pair = [
        Source("small", sees(3), dataset("small", side=8, seed=1)),
        Source("same", sees(60), dataset("same", seed=1)),
    ]
    found = rank(pair, dataset("target"), **{**QUICK, "metrics": ("otce",)})
    assert any("different sizes (16 x 16, 8 x 8)" in text for text in found.unlike)


def test_a_line_is_logged_once(caplog):
    log = logging.getLogger("trfjax")
    with said_once():
        for _ in range(3):
            log.warning("%s: 100 pixels asked for", "here")
    log.warning("after")
    assert [r.getMessage() for r in caplog.records] == [
        "here: 100 pixels asked for", "after",
    ]  # fmt: skip

"""The study of the demo, in both its forms."""

import dataclasses

from trfjax.studies.cities import FULL, QUICK, SOURCES, city_study


def test_the_full_form():
    study = city_study(repeats=3, seed=5)
    assert tuple(study.sources) == SOURCES and study.seeds == (5, 6, 7)
    assert (study.size, study.shots, study.recipe.steps) == ((64, 128), 20, 160)


def test_the_quick_form_is_smaller_in_everything():
    study = city_study(quick=True)
    assert tuple(study.sources) == SOURCES[: QUICK.sources]
    assert study.target.count == QUICK.pool >= study.shots == QUICK.shots
    for field in dataclasses.fields(QUICK):
        quick, full = getattr(QUICK, field.name), getattr(FULL, field.name)
        if isinstance(quick, int | tuple):
            assert quick < full, field.name
    assert QUICK.recipe.steps < FULL.recipe.steps
    assert QUICK.finetune.steps < FULL.finetune.steps

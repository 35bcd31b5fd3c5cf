"""What the demo runs, in both its forms."""

import dataclasses

from trfjax.cli.commands import Demo
from trfjax.cli.demo import FULL, QUICK, SOURCES, study_of


def test_the_full_form():
    study = study_of(Demo(repeats=3, seed=5))
    assert tuple(study.sources) == SOURCES and study.seeds == (5, 6, 7)
    assert (study.size, study.shots, study.recipe.steps) == ((64, 128), 20, 160)


def test_the_quick_form_is_smaller_in_everything():
    study = study_of(Demo(quick=True))
    assert tuple(study.sources) == SOURCES[: QUICK.sources]
    assert study.target.count == QUICK.pool >= study.shots == QUICK.shots
    for field in dataclasses.fields(QUICK):
        quick, full = getattr(QUICK, field.name), getattr(FULL, field.name)
        if isinstance(quick, int | tuple):
            assert quick < full, field.name
    assert QUICK.recipe.steps < FULL.recipe.steps
    assert QUICK.finetune.steps < FULL.finetune.steps
    assert QUICK.folder != FULL.folder  # neither throws the other's work away

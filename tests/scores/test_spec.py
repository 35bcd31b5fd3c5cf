import dataclasses

import pytest

from trfjax.scores import DEFAULT, SCORES
from trfjax.scores.spec import OfSums, ScoreSpec


def test_every_name_is_that_of_its_spec():
    assert all(name == spec.name for name, spec in SCORES.items())
    assert set(DEFAULT) <= set(SCORES)
    assert len({spec.title for spec in SCORES.values()}) == len(SCORES)


@pytest.mark.parametrize("name", SCORES)
def test_specs_say_what_they_can(name):
    spec = SCORES[name]
    assert spec.label.startswith(spec.title) and spec.label.endswith(")")
    assert spec.any_space or spec.space in ("probs", "logits")
    if spec.of_sums is not None:
        sides = {table.split("_")[0] for table in spec.of_sums.tables}
        assert ("source" in sides) == spec.two_sided


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": ("target_prob",)}, "inputs: 'target_prob' is none of 'source_feat"),
        ({"settings": ("eps",)}, "settings: 'eps' is none of 'num_samples'"),
        ({"of_sums": ("atoms",)}, "of_sums: 'atoms' is none of 'source_atoms'"),
    ],
)
def test_words_that_are_unknown_are_refused(changes, message):
    spec = object.__new__(ScoreSpec)  # as without type checks
    values = {f.name: getattr(SCORES["leep"], f.name) for f in dataclasses.fields(spec)}
    if "of_sums" in changes:
        sums = object.__new__(OfSums)
        object.__setattr__(sums, "tables", changes["of_sums"])
        changes = {"of_sums": sums}
    for key, value in {**values, **changes}.items():
        object.__setattr__(spec, key, value)
    with pytest.raises(ValueError, match=message):
        spec.__post_init__()

import numpy as np
import pytest

from tests.training.cases import changed, network, squares
from trfjax.files import write_json
from trfjax.transfer.empirical import empirical_transferability
from trfjax.transfer.finetune import finetune

RECIPE = changed(steps=2)


def test_runs_are_those_of_finetune(tmp_path):
    source, pool, test = network(), squares(6), squares(2, seed=1)
    got = empirical_transferability(
        source, pool, test, shots=3, seeds=(4, 5), optimisation_seeds=(0, 1),
        recipe=RECIPE,
    )  # fmt: skip
    values = got.values("log_likelihood")
    single = finetune(
        source, pool.shots(3, seed=5), test=test, recipe=changed(RECIPE, seed=1)
    )
    assert single.evaluation is not None
    assert values[1, 1] == single.evaluation.log_likelihood
    assert got.mean("log_likelihood") == pytest.approx(values.mean())
    assert got.shots_spread("log_likelihood") == pytest.approx(
        values.mean(axis=1).std(ddof=1)
    )
    assert got.optimisation_spread("log_likelihood") == pytest.approx(
        np.sqrt(values.var(axis=1, ddof=1).mean())
    )
    write_json(tmp_path / "record.json", got.to_dict())
    with pytest.raises(ValueError, match="unknown measure 'loss'"):
        got.values("loss")


def test_a_single_run_has_no_spread():
    got = empirical_transferability(
        network(), squares(), squares(2, seed=1), shots=2, seeds=(0,), recipe=RECIPE
    )
    assert np.isnan(got.shots_spread("miou"))
    assert np.isnan(got.optimisation_spread("miou"))


def test_leaks_and_too_many_shots_are_refused():
    data = squares(6)
    pool, test = data.select(range(4)), data.select(range(3, 6))
    with pytest.raises(ValueError, match="1 of its images are in the pool"):
        empirical_transferability(network(), pool, test, shots=2, recipe=RECIPE)
    with pytest.raises(ValueError, match="5 asked of squares, which has 4"):
        empirical_transferability(
            network(), pool, data.select([4, 5]), shots=5, recipe=RECIPE
        )
    with pytest.raises(ValueError, match="seeds"):
        empirical_transferability(network(), pool, test, seeds=(), recipe=RECIPE)

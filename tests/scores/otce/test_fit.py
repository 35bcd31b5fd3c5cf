import numpy as np
import pytest

from trfjax.errors import ScoreWarning
from trfjax.scores.otce.fit import fit_otce


def tasks(seed=0, n=20, noise=0.0):
    rng = np.random.default_rng(seed)
    domain, task = rng.uniform(5, 40, n), rng.uniform(0, 2, n)
    performance = 0.9 - 0.004 * domain - 0.2 * task + noise * rng.normal(size=n)
    return domain, task, performance


def test_a_planted_model_is_recovered(x64):
    domain, task, performance = tasks()
    model = fit_otce(domain, task, performance)
    # On standardised differences the slopes are those of a deviation.
    np.testing.assert_allclose(
        model.coefficients, (-0.004 * domain.std(), -0.2 * task.std()), rtol=1e-9
    )
    np.testing.assert_allclose(model.intercept, performance.mean(), rtol=1e-9)
    np.testing.assert_allclose(model.mean, (domain.mean(), task.mean()))
    np.testing.assert_allclose(model.deviation, (domain.std(), task.std()))
    assert model.r_squared > 1 - 1e-9 and model.residual < 1e-9
    assert 1 <= model.condition < 3


def test_new_tasks_are_standardised_with_what_was_kept(x64):
    model = fit_otce(*tasks())
    domain, task, performance = tasks(seed=1, n=7)
    found = model.predict(domain, task)
    np.testing.assert_allclose(found, performance, rtol=1e-9)
    one = model.predict(domain[3:4], task[3:4])
    assert one.shape == (1,) and abs(one[0] - performance[3]) < 1e-9


def test_noise_is_left_over(x64):
    domain, task, performance = tasks(n=500, noise=0.05)
    model = fit_otce(domain, task, performance)
    np.testing.assert_allclose(model.residual, 0.05, rtol=0.1)
    explained = 1 - model.residual**2 / performance.var()
    np.testing.assert_allclose(model.r_squared, explained, rtol=1e-9)


def test_three_tasks_leave_no_residual():
    model = fit_otce(*tasks(n=3))
    assert np.isnan(model.r_squared) and model.residual < 1e-5


def test_fewer_than_three_tasks_are_refused():
    with pytest.raises(ValueError, match="2 auxiliary tasks; 3 numbers are fitted"):
        fit_otce(*tasks(n=2))


def test_a_difference_that_never_varies_is_dropped(x64):
    domain, task, _ = tasks()
    with pytest.warns(ScoreWarning, match="domain_difference: the same for all tasks"):
        model = fit_otce(np.full(20, 7.0), task, 0.9 - 0.2 * task)
    assert model.coefficients[0] == 0 and model.deviation[0] == 0
    np.testing.assert_allclose(model.predict([99.0], [1.0]), [0.7], rtol=1e-9)
    with pytest.warns(ScoreWarning, match="task_difference: the same for all tasks"):
        fit_otce(domain, np.zeros(20), -domain)


def test_a_positive_coefficient_is_told():
    domain, task, _ = tasks()
    with pytest.warns(ScoreWarning, match="task_difference: its coefficient is pos"):
        fit_otce(domain, task, 0.5 - 0.01 * domain + 0.3 * task)


def test_lengths_that_differ_are_refused():
    domain, task, performance = tasks()
    with pytest.raises(ValueError, match="20 domain differences, 19 task differences"):
        fit_otce(domain, task[1:], performance)


def test_nan_is_refused():
    domain, task, performance = tasks()
    performance[4] = np.nan
    with pytest.raises(ValueError, match=r"performance: 1 values .*index \(4,\)"):
        fit_otce(domain, task, performance)

import inspect
import warnings

import numpy as np
import pytest

from tests.transport.reference import (
    conditional_entropy,
    entropic_plan,
    label_joint,
    labelled_clouds,
)
from trfjax.atoms.compress import compress
from trfjax.errors import ScoreWarning
from trfjax.scores.otce.atoms import otce_atoms
from trfjax.scores.otce.atoms_replicates import otce_atoms_replicates
from trfjax.scores.otce.quantisation import problem_of
from trfjax.transport.joint import couple
from trfjax.transport.problem import Settings

TIGHT = Settings(tolerance=1e-6, joint_tolerance=1e-7)


def sides(n=150, m=130, **settings):
    x, ys, y, yt = labelled_clouds(0, n, m, probs=True, **settings)
    return (x, ys), (y, yt)


def exact(source, target, epsilon=0.1):
    (x, ys), (y, yt) = source, target
    a, b = (np.full(len(z), 1 / len(z)) for z in (x, y))
    plan, cost = entropic_plan(x, y, a, b, epsilon)
    joint = label_joint(plan, ys, yt, ys.max() + 1, yt.max() + 1)
    return conditional_entropy(joint), float((plan * cost).sum()), joint


def quietly(source, target, **settings):
    """The score, without a word on how few the atoms are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScoreWarning)
        return otce_atoms(source, target, **{"settings": TIGHT, **settings})


def with_correction(source, target, correction):
    """The score of atoms, solved by themselves, with a correction of another set."""
    joint = couple(problem_of(source, target), epsilon=0.1, settings=TIGHT).joint
    joint = np.asarray(joint / joint.sum(), np.float64)
    return -conditional_entropy(np.maximum(joint + correction, 0))


def known(result):
    assert result.quantisation is not None
    return result.quantisation


def test_an_atom_for_every_pixel_is_the_exact_value():
    source, target = sides()
    task, domain, joint = exact(source, target)
    found = otce_atoms(compress(*source), compress(*target), settings=TIGHT)
    # float32 and the tolerance of the marginals
    assert float(found.task_difference) == pytest.approx(task, abs=2e-5)
    assert float(found.domain_difference) == pytest.approx(domain, abs=2e-5)
    np.testing.assert_allclose(found.label_joint, joint, atol=1e-5)
    assert found.num_samples == (150, 130) and found.converged
    assert float(found.standard_error) == 0 and known(found).atoms == (150, 130)
    assert float(known(found).effect) == 0
    assert "all 150 x 130 pixels as 150 x 130 atoms" in str(found)


def test_merging_equal_pixels_changes_nothing():
    (x, ys), (y, yt) = sides(60, 60)
    again = np.repeat(np.arange(60), 1 + np.arange(60) % 4)
    many = (x[again], ys[again]), (y, yt)
    task, domain, _ = exact(*many)
    merged = compress(*many[0], atoms=60)
    assert len(merged) <= 60 and merged.mean_scatter() < 1e-9
    found = otce_atoms(merged, compress(y, yt), settings=TIGHT)
    assert float(found.task_difference) == pytest.approx(task, abs=2e-5)
    assert float(found.domain_difference) == pytest.approx(domain, abs=2e-5)


def test_fewer_atoms_come_close_and_say_how_close():
    source, target = sides(1500, 1500)
    whole = otce_atoms(compress(*source, atoms=1500), compress(*target, atoms=1500))
    for count in (32, 128):
        found = quietly(compress(*source, atoms=count), compress(*target, atoms=count))
        error = abs(float(found.task_difference - whole.task_difference))
        plain = abs(known(found).atoms_task_difference - float(whole.task_difference))
        away = abs(float(found.domain_difference - whole.domain_difference))
        assert error < known(found).effect and error < 0.5 * plain
        # Uncorrected it would lack all of the scatter within atoms.
        assert away < 0.1 * float(known(found).scatter)


def test_the_same_pixels_give_the_same_score():
    source, target = sides(300, 300)
    left, right = compress(*source, atoms=200), compress(*target, atoms=200)
    found, same = quietly(left, right), quietly(left, right)
    assert float(found.score) == float(same.score) == -float(found.task_difference)
    assert known(found).atoms == (200, 200)
    relative = quietly(left, right, relative_epsilon=True, epsilon=0.5)
    cost = ((source[0][:, None] - target[0][None]) ** 2).sum(-1).mean()
    assert float(relative.epsilon) == pytest.approx(0.5 * cost, rel=1e-4)
    # One image, once: the score itself.
    once = otce_atoms_replicates(
        left, right, np.ones((1, 1), np.float32), result=relative, settings=TIGHT
    )
    assert once[0] == pytest.approx(float(relative.score), abs=1e-4)


def test_class_names_are_ids_and_an_unused_one_changes_nothing():
    (x, ys), target = sides(200, 200)
    right = compress(*target)
    plain = otce_atoms(compress(x, ys), right)
    other = otce_atoms(compress(x, ys * 10 + 3, ignore=999), right)
    wider = otce_atoms(compress(x, ys, num_classes=9), right)
    assert other.source_classes == (3, 13, 23, 33)
    for found in (other, wider):
        assert float(found.score) == pytest.approx(float(plain.score), abs=1e-6)


def test_replicates_are_the_scores_of_the_resampled_images():
    (x, ys), (y, yt) = sides(400, 400)
    image = np.arange(400) % 5
    source, target = compress(x, ys, atoms=64), compress(y, yt, image=image, atoms=64)
    rows = np.array([[1, 1, 1, 1, 1], [2, 0, 0, 3, 0], [0, 0, 5, 0, 0]], np.float32)
    whole = quietly(source, target)
    found = otce_atoms_replicates(source, target, rows, settings=TIGHT, result=whole)
    assert found[0] == pytest.approx(float(whole.score), abs=1e-5)
    for row, value in zip(rows, found, strict=True):
        chosen = target.select(np.repeat(np.arange(5), row.astype(int)))
        alone = with_correction(source, chosen, known(whole).correction)
        assert value == pytest.approx(alone, abs=1e-5)


def test_both_sides_can_be_resampled():
    (x, ys), (y, yt) = sides(200, 200)
    image = np.arange(200) % 4
    source, target = (
        compress(*side, image=image, atoms=48) for side in ((x, ys), (y, yt))
    )
    rows = np.random.default_rng(0).multinomial(4, np.full(4, 0.25), size=3)
    rows = rows.astype(np.float32)
    correction = known(quietly(source, target)).correction
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScoreWarning)
        found = otce_atoms_replicates(
            source, target, rows, source_multiplicities=rows[::-1], settings=TIGHT
        )
    for row, other, value in zip(rows, rows[::-1], found, strict=True):
        alone = with_correction(
            source.select(np.repeat(np.arange(4), other.astype(int))),
            target.select(np.repeat(np.arange(4), row.astype(int))),
            correction,
        )
        assert value == pytest.approx(alone, abs=1e-5)


def test_a_replicate_that_the_shared_kernel_cannot_reach_is_solved_alone():
    # Far clouds and a small epsilon: dropping an image moves the plan by far.
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 3)).astype(np.float32) * 3
    y = rng.normal(size=(90, 3)).astype(np.float32) * 3
    image = np.arange(90) % 3
    y += image[:, None] * 6
    source = compress(x, np.arange(90) % 2, atoms=90)
    target = compress(y, np.arange(90) % 4 // 2, image=image, atoms=90)
    rows = np.array([[3, 0, 0], [0, 1, 2], [1, 1, 1]], np.float32)
    found = otce_atoms_replicates(source, target, rows, epsilon=0.5)
    for row, value in zip(rows, found, strict=True):
        chosen = target.select(np.repeat(np.arange(3), row.astype(int)))
        alone = quietly(source, chosen, epsilon=0.5, feature_space="logits")
        assert value == pytest.approx(float(alone.score), abs=2e-3)


def test_too_few_atoms_for_the_epsilon_are_told():
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(2000, 8)).astype(np.float32) * 4 for _ in range(2))
    labels = (x[:, 0] > 0).astype(int), (y[:, 0] > 0).astype(int)
    sets = (compress(z, y, atoms=32) for z, y in zip((x, y), labels, strict=True))
    with pytest.warns(ScoreWarning, match="too few for these features"):
        otce_atoms(*sets, feature_space="logits")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feature_space": "pixels"}, "feature_space: 'pixels' is none of probs"),
        ({"epsilon": -1.0}, "epsilon: -1.0"),
    ],
)
def test_bad_settings_are_refused(change, message):
    source, target = (compress(*side) for side in sides(50, 50))
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(otce_atoms)(source, target, **change)


def test_widths_that_differ_are_refused():
    source, target = sides(50, 50)
    wide = np.concatenate([target[0], target[0]], axis=1)
    with pytest.raises(ValueError, match="5 and 10 features"):
        otce_atoms(compress(*source), compress(wide, target[1]))

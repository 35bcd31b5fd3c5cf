from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.cases import RECIPE, assert_same, changed, leaves, network, squares
from trfjax.files import read_arrays
from trfjax.state import ModelCard
from trfjax.training import loop, step
from trfjax.training.loop import DivergedError, class_counts, class_weights_of
from trfjax.training.train import train


def fit(trained, data, recipe=RECIPE, **options):
    return train(
        trained.model, data, card=trained.card, recipe=recipe, progress=False, **options
    )


def interrupt_at(step):
    def stop(done, loss):
        if done == step:
            raise KeyboardInterrupt

    return stop


def test_networks_of_one_shape_share_a_compilation():
    fit(network(0), squares())
    program: Any = step.step
    before = program._cache_size()
    one = fit(network(1), squares(seed=1))
    two = fit(network(1), squares(seed=1), changed(seed=5))
    assert program._cache_size() == before
    assert any(
        (a != b).any() for a, b in zip(*map(leaves, both(one, two)), strict=True)
    )


def both(*results):
    return [result.trained.model for result in results]


def test_the_same_arguments_give_the_same_network():
    trained = network()
    before = [leaf.copy() for leaf in leaves(trained.model)]
    one, two = (fit(trained, squares()) for _ in range(2))
    assert_same(*both(one, two))
    assert one.history == two.history and len(one.history["loss"]) == 4
    assert_same(trained.model, before)  # the input is not changed


def test_interrupted_and_resumed_equals_straight(tmp_path):
    path = tmp_path / "run.safetensors"
    recipe = changed(augment=loop.Recipe().augment)
    straight = fit(network(), squares(), recipe, checkpoint=tmp_path / "a.safetensors")
    with pytest.raises(KeyboardInterrupt):
        fit(network(), squares(), recipe, checkpoint=path, on_step=interrupt_at(2))
    seen = []
    resumed = fit(
        network(),
        squares(),
        recipe,
        checkpoint=path,
        resume=True,
        on_step=lambda step, loss: seen.append(step),
    )
    assert seen == [3, 4]
    assert resumed.history == straight.history
    assert_same(*both(straight, resumed))
    files = [read_arrays(file) for file in (path, tmp_path / "a.safetensors")]
    assert files[0][1] == files[1][1]  # what they belong to, losses and digest
    assert_same(files[0][0], files[1][0])
    finished = fit(network(), squares(), recipe, checkpoint=path, resume=True)
    assert_same(*both(straight, finished))


def test_reading_ahead_equals_reading_at_once(monkeypatch):
    held = fit(network(), squares())
    monkeypatch.setattr(loop, "MEMORY", 0)
    assert_same(*both(held, fit(network(), squares())))


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good(tmp_path):
    path = tmp_path / "run.safetensors"
    trained, data = network(), squares()
    good = []
    broken = ModelCard(
        **{**vars(trained.card), "std": (0.0, 0.0, 0.0), "mean": (0.0, 0.0, 0.0)}
    )
    with pytest.raises(DivergedError, match="not finite at step 1") as caught:
        train(trained.model, data, card=broken, recipe=RECIPE, progress=False)
    assert caught.value.step == 1
    assert_same(caught.value.trained.model, trained.model)
    # Later: a learning rate at which the weights overflow after a few steps.
    with pytest.raises(DivergedError, match="learning rate") as caught:
        fit(
            trained,
            data,
            changed(learning_rate=1e38, steps=9),
            checkpoint=path,
            on_step=lambda step, loss: good.append(loss),
        )
    assert caught.value.step == len(good) + 1 >= 2 and path.exists()
    kept = caught.value.trained.model.params
    assert all(np.isfinite(leaf).all() for leaf in leaves(kept))


def test_evaluates_and_learns():
    result = fit(
        network(width=4),
        squares(8),
        changed(steps=80, batch_size=4, learning_rate=3e-2),
        evaluate_on=squares(4, seed=9),
    )
    losses = result.history["loss"]
    assert np.mean(losses[-5:]) < 0.5 * losses[0]
    assert result.evaluation is not None and result.evaluation.accuracy > 0.8


def test_class_weights():
    data = squares(4)
    counts = class_counts(data)
    labels = np.stack([example["label"] for example in data])
    np.testing.assert_array_equal(counts, [(labels == c).sum() for c in range(3)])
    for kind, power in (("none", 0), ("sqrt", 0.5), ("balanced", 1)):
        weights = class_weights_of(data, changed(class_weighting=kind))
        np.testing.assert_allclose(
            weights * counts**power, (weights * counts**power)[0]
        )
        assert (weights * counts).sum() == pytest.approx(counts.sum())
    rare = squares(1).map(lambda x, y: (x, np.where(y == 2, 1, y)), tag="two")
    assert class_weights_of(rare, changed(class_weighting="sqrt"))[2] == 0


def test_what_does_not_fit_is_refused_before_training(tmp_path):
    trained, data = network(), squares()
    names = ("left", "right", "top", "more")
    with pytest.raises(ValueError, match="4 class names for a network of 3 classes"):
        card = ModelCard("tiny", "unet", {}, names, (32, 32))
        train(trained.model, data, card=card, recipe=RECIPE)
    with pytest.raises(ValueError, match="not one the network knows"):
        fit(trained, squares(names=("left", "right", "sky")))
    with pytest.raises(ValueError, match="mean and std"):
        grey = data.map(lambda x, y: (x[..., :1], y), tag="grey")
        fit(trained, grey)
    with pytest.raises(ValueError, match=r"labels of shape \(\)"):
        fit(trained, data.map(lambda x, y: (x, np.int32(1)), tag="scalar"))
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        fit(trained, data, checkpoint=tmp_path / "run.npz")
    with pytest.raises(ValueError, match="needs checkpoint"):
        fit(trained, data, resume=True)
    assert not list(tmp_path.iterdir())


def test_a_label_that_is_no_class_is_refused():
    data = squares().map(lambda x, y: (x, np.where(y == 2, 3, y)), tag="3")
    with pytest.raises(ValueError, match=r"label 3 is outside 0\.\.2"):
        fit(network(), data)


def test_the_batch_norm_policy_is_kept():
    trained = network()
    frozen = fit(trained, squares(), changed(batch_norm="frozen", steps=1))
    assert_same(frozen.trained.model.stats, trained.model.stats)
    adapted = fit(trained, squares(), changed(steps=1)).trained.model.stats
    moved = zip(leaves(adapted), leaves(trained.model.stats), strict=True)
    assert any((a != b).any() for a, b in moved)
    assert jnp.isfinite(jnp.asarray(frozen.history["loss"])).all()

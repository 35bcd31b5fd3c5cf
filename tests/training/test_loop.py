"""The loop: batches, weights of classes and labels, and where a run stands."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.cases import RECIPE, assert_same, changed, leaves, network, squares
from trfjax.data import batch_indices
from trfjax.state import SourceModel
from trfjax.training import loop
from trfjax.training.evaluate import normalisation
from trfjax.training.loop import (
    DivergedError,
    blank_batch,
    class_counts,
    class_weights_of,
    read_batches,
    run,
    start,
)


def steps(state=None, data=None, recipe=RECIPE, **options):
    """All states and losses of what is left to do."""
    trained = network()
    state = start(trained.model, recipe) if state is None else state
    found = run(
        state, data or squares(), graphdef=trained.model.graphdef, card=trained.card,
        recipe=recipe, **options,
    )  # fmt: skip
    return list(found)


def test_the_state_before_the_first_step():
    trained = network()
    state = start(trained.model, RECIPE)
    assert state.step == 0 and state.memory == () and state.discriminator == ()
    assert_same(
        (state.params, state.stats), (trained.model.params, trained.model.stats)
    )


def test_what_a_step_does_depends_on_its_number_alone():
    """A run taken up from any state gives the states that followed it."""
    recipe = changed(augment=loop.Recipe().augment)
    whole = steps(recipe=recipe)
    assert [int(state.step) for state, _ in whole] == [1, 2, 3, 4]
    for done in (1, 3):
        rest = steps(whole[done - 1][0], recipe=recipe)
        assert [loss for _, loss in rest] == [loss for _, loss in whole[done:]]
        assert_same(rest[-1][0], whole[-1][0])
    assert steps(whole[-1][0], recipe=recipe) == []


def test_the_seed_decides():
    one, same, other = (steps(recipe=changed(seed=s)) for s in (0, 0, 1))
    assert [v for _, v in one] == [v for _, v in same] != [v for _, v in other]


def test_losses_are_those_of_the_batches_before_the_step(rng):
    """The first loss is the mean cross-entropy of the first batch, in NumPy."""
    from trfjax.state import apply_train

    trained, data = network(), squares()
    rows = batch_indices(4, RECIPE.batch_size, 0, seed=RECIPE.seed)
    images = np.stack([data[int(i)]["image"] for i in rows])
    labels = np.stack([data[int(i)]["label"] for i in rows])
    mean, std = np.asarray(normalisation(trained.card))
    shown = ((images / 255.0 - mean) / std).astype(np.float32)
    output, _ = apply_train(trained.model, jnp.asarray(shown), key=jax.random.key(0))
    logits = np.asarray(output.logits, float)
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    valid = labels != 255
    chosen = np.take_along_axis(logs, np.where(valid, labels, 0)[..., None], axis=-1)
    expected = -chosen[..., 0][valid].mean()
    assert steps()[0][1] == pytest.approx(expected, rel=1e-5)


def test_weights_of_labels_that_are_0_are_labels_that_are_ignored():
    data = squares()
    weights = np.ones((4, 32, 32))
    weights[:, :, 16:] = 0
    half = data.map(
        lambda x, y: (x, np.where(np.arange(32) < 16, y, 255).astype(np.int32)), tag="l"
    )
    weighted, ignored = steps(label_weights=weights), steps(data=half)
    # The batch norm sees all pixels in both; only the loss is of the left half.
    for (_, one), (_, other) in zip(weighted, ignored, strict=True):
        assert one == pytest.approx(other, rel=1e-4)  # Adam enlarges rounding
    plain = [loss for _, loss in steps()]
    tripled = [loss for _, loss in steps(label_weights=0 * weights + 3)]
    assert tripled == pytest.approx(plain, rel=1e-4)


def test_a_class_of_weight_0_is_not_learned():
    """Its labels may be anything."""
    weights = np.array([1.0, 1.0, 0.0])
    gone = squares().map(
        lambda x, y: (x, np.where(y == 2, 255, y).astype(np.int32)), tag="gone"
    )
    one = [loss for _, loss in steps(class_weights=weights)]
    other = [loss for _, loss in steps(data=gone)]
    assert one == pytest.approx(other, rel=1e-4)


def test_only_the_layers_that_move_move():
    trainable = frozenset({"head"})
    trained = network()
    state = start(trained.model, RECIPE, trainable=trainable)
    last = steps(state, trainable=trainable)[-1][0]
    before, after = (dict(jax.tree_util.tree_leaves_with_path(p)) for p in (
        trained.model.params, last.params,
    ))  # fmt: skip
    for path, leaf in after.items():
        moved = (np.asarray(leaf) != np.asarray(before[path])).any()
        assert moved == ("head" in jax.tree_util.keystr(path))


def test_a_loss_that_is_not_finite_ends_the_run_with_the_last_good_network():
    trained = network()
    state = start(trained.model, RECIPE)
    broken = dataclasses.replace(
        state, params=jax.tree.map(lambda leaf: leaf * np.nan, state.params)
    )
    with pytest.raises(DivergedError, match=r"not finite at step 1\. Lower the") as e:
        steps(broken)
    assert e.value.step == 1 and isinstance(e.value.trained.model, SourceModel)
    assert_same(e.value.trained.model.stats, trained.model.stats)


@pytest.mark.parametrize("memory", [loop.MEMORY, 0])
def test_batches_are_the_images_asked_for_in_any_way(memory, monkeypatch):
    monkeypatch.setattr(loop, "MEMORY", memory)
    data = squares()
    chosen = [np.array([2, 0]), np.array([3]), np.array([1, 1, 2])]
    found = list(read_batches(data, chosen))
    assert len(found) == 3
    for (images, labels), rows in zip(found, chosen, strict=True):
        for image, label, i in zip(images, labels, rows, strict=True):
            np.testing.assert_array_equal(image, data[int(i)]["image"])
            np.testing.assert_array_equal(label, data[int(i)]["label"])


@pytest.mark.parametrize("memory", [loop.MEMORY, 0])
def test_a_label_that_is_no_class_is_refused_in_any_way(memory, monkeypatch):
    monkeypatch.setattr(loop, "MEMORY", memory)
    wrong = squares().map(lambda x, y: (x, np.where(y == 2, -4, y)), tag="-4")
    with pytest.raises(ValueError, match=r"label -4 is outside 0\.\.2 .*label map"):
        list(read_batches(wrong, [np.arange(4)]))


def test_counts_and_weights_of_classes():
    data = squares(3, seed=5)
    labels = np.stack([example["label"] for example in data])
    counts = class_counts(data)
    assert counts.dtype == np.int64 and counts.sum() == (labels != 255).sum()
    share = counts / counts.sum()
    balanced = class_weights_of(data, changed(class_weighting="balanced"))
    np.testing.assert_allclose(balanced, 1 / (3 * share))  # every class weighs a third
    root = class_weights_of(data, changed(class_weighting="sqrt"))
    np.testing.assert_allclose(root, share**-0.5 / np.sum(share**0.5))
    np.testing.assert_array_equal(class_weights_of(data, RECIPE), np.ones(3))


def test_what_all_batches_share():
    card, data = network().card, squares()
    blank = blank_batch(data, card, None)
    assert blank.images is None and blank.labels is None and blank.ignore == 255
    assert blank.class_weights is None and blank.label_weights is None
    np.testing.assert_allclose(blank.scale, [card.mean, card.std], rtol=1e-6)
    weighted = blank_batch(data, card, np.array([1.0, 2, 3]))
    np.testing.assert_array_equal(weighted.class_weights, [1, 2, 3])
    assert weighted.class_weights.dtype == np.float32


def test_bytes_of_a_data_set():
    data = squares(7)
    first = data[0]
    assert loop._bytes(data) == 7 * (first["image"].nbytes + first["label"].nbytes)
    assert all(np.isfinite(leaf).all() for leaf in leaves(steps()[-1][0].params))

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.adaptation.cases import RECIPE, as_float64, composed, network, other_light
from tests.adaptation.cases import squares as source_squares
from trfjax.adaptation import denoised
from trfjax.adaptation.adapt import adapt
from trfjax.adaptation.denoised import resized
from trfjax.adaptation.domains import pass_domains
from trfjax.adaptation.prototypes import Prototypes
from trfjax.state import SourceModel, apply
from trfjax.training.augment import NONE
from trfjax.training.evaluate import standardise
from trfjax.training.step import step

KEY = jax.random.key(7)
MEANS = np.array([[0.0, 0.5], [1.0, 0.0], [0.2, 0.2]])


def log_softmax(x):
    x = np.asarray(x)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def near(features, tau):
    d = np.linalg.norm(np.asarray(features)[..., None, :] - MEANS, axis=-1)
    return log_softmax(-d / tau)


@pytest.fixture
def case(x64, monkeypatch):
    monkeypatch.setattr(denoised, "STRONG", NONE)  # the strong view is the weak one
    method, update, state, batch = composed("proda", temperature=0.5)
    state, batch = as_float64(state), as_float64(batch)
    prototypes = Prototypes(jnp.asarray(MEANS), jnp.ones(3, bool))
    teacher = jax.tree.map(lambda leaf: 1.1 * leaf, state.memory["teacher"])
    memory = {**state.memory, "prototypes": prototypes, "teacher": teacher}
    return method, update, dataclasses.replace(state, memory=memory), batch


def test_the_loss_is_the_equation(case):
    method, update, state, batch = case
    value, outcome = update.loss(state.params, state, batch, KEY)
    graphdef = update.loss.setting.graphdef
    weak, labels = (
        standardise(batch.target.images / 255.0, batch.target.scale),
        np.asarray(batch.source.labels),
    )
    model = SourceModel(state.params["network"], state.stats, graphdef)
    source, target, _ = pass_domains(
        model,
        standardise(batch.source.images / 255.0, batch.source.scale),
        jnp.concatenate([weak, weak]),
        policy="sequential",
        key=KEY,
    )
    kept = state.memory["teacher"]
    teacher = apply(SourceModel(kept["params"], kept["stats"], graphdef), weak)
    p0 = np.exp(log_softmax(apply(network64(), weak).logits))
    log_w = near(teacher.features, 0.5)
    pseudo = (np.exp(log_w) * p0).argmax(axis=-1)
    log_p = log_softmax(target.logits[:2])
    chosen = np.take_along_axis(log_p, pseudo[..., None], -1)[..., 0]
    ce, rce = -chosen.mean(), np.log(1e4) * (1 - np.exp(chosen)).mean()
    log_s = near(target.features[2:], 0.5)
    kl = (np.exp(log_w) * (log_w - log_s)).sum(axis=-1).mean()
    mrkld = -log_p.mean()
    valid = labels != 255
    of_source = np.take_along_axis(
        log_softmax(source.logits), np.where(valid, labels, 0)[..., None], -1
    )[..., 0]
    expected = -of_source[valid].mean() + 0.1 * ce + rce + 10 / 3 * kl + 0.1 * mrkld
    np.testing.assert_allclose(value, expected, rtol=1e-9)
    changed = (pseudo != p0.argmax(axis=-1)).mean()
    assert 0 < changed < 1
    np.testing.assert_allclose(outcome.seen["changed"], changed, rtol=1e-6)
    # Prototypes follow teacher features by the teacher's classes, image by image.
    moving = MEANS.copy()
    for features, classes in zip(
        np.asarray(teacher.features), np.asarray(teacher.logits.argmax(-1)), strict=True
    ):
        for c in range(3):
            if (classes == c).sum() >= 10:
                moving[c] += (1 - method.momentum) * (
                    features[classes == c].mean(axis=0) - moving[c]
                )
    np.testing.assert_allclose(
        outcome.memory["prototypes"].means, moving, rtol=1e-9, atol=1e-12
    )


def network64():
    return as_float64(network().model)


def test_uniform_weights_leave_the_labels(case):
    _, _, state, batch = case
    _, update, _, _ = composed("proda", temperature=1e300)
    _, outcome = update.loss(state.params, state, batch, KEY)
    assert outcome.seen["changed"] == 0
    _, update, _, _ = composed("proda", temperature=0.5, denoise=False)
    _, outcome = update.loss(state.params, state, batch, KEY)
    assert outcome.seen["changed"] == 0


def test_the_teacher_is_averaged_and_its_statistics_are_copied():
    _, update, state, batch = composed("proda", rate=0.75)
    after, _, fine = step(state, batch, KEY, update=update)
    expected = jax.tree.map(
        lambda old, new: 0.75 * old + 0.25 * new,
        state.memory["teacher"]["params"],
        after.params["network"],
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        after.memory["teacher"]["params"],
        expected,
    )
    same = jax.tree.map(
        lambda a, b: bool((a == b).all()), after.memory["teacher"]["stats"], after.stats
    )
    assert fine and jax.tree.all(same)


def test_first_prototypes_are_means_over_images_of_centroids():
    source, target = network(), other_light(count=9)
    begun, seen = {}, []
    original = denoised.Denoised.round

    class Watched(denoised.Denoised):
        def round(self, number, state, looks):
            memory = original(self, number, state, looks)
            seen.append(number)
            begun.update(memory)
            return memory

    adapt(
        source,
        source_squares(),
        target,
        method=Watched(),
        recipe=RECIPE,
        progress=False,
    )
    found = []
    for example in target:
        image = jnp.asarray(example["image"], jnp.float32)[None] / 255
        scale = jnp.asarray([source.card.mean, source.card.std])
        output = apply(source.model, standardise(image, scale))
        classes = np.asarray(output.logits.argmax(-1))[0]
        features = np.asarray(output.features, np.float64)[0]
        found.append(
            [
                features[classes == c].mean(axis=0)
                if (classes == c).sum() >= 10
                else np.full(2, np.nan)
                for c in range(3)
            ]
        )
    expected = np.array(found)
    present = np.isfinite(expected[..., 0]).any(axis=0)
    np.testing.assert_array_equal(begun["prototypes"].present, present)
    np.testing.assert_allclose(
        np.asarray(begun["prototypes"].means)[present],
        np.nanmean(expected[:, present], axis=0),
        rtol=1e-4,
        atol=1e-5,
    )
    assert seen == [0]


def test_weights_are_resized_to_the_logits():
    small = jnp.ones((1, 2, 2, 3)) / 3
    found = resized(small, jnp.zeros((1, 8, 6, 3)))
    np.testing.assert_allclose(found, np.full((1, 8, 6, 3), 1 / 3), rtol=1e-6)

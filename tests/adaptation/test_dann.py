import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.adaptation.cases import RECIPE, as_float64, composed
from trfjax.adaptation import get_method
from trfjax.adaptation.dann import told_apart
from trfjax.adaptation.domains import pass_domains
from trfjax.state import SourceModel
from trfjax.training.evaluate import standardise
from trfjax.training.losses import cross_entropy

KEY = jax.random.key(7)


def features_and_logits(params, state, batch, graphdef):
    """Both domains in one batch, without augmentation."""
    images = [
        standardise(jnp.asarray(side.images, jnp.float64) / 255, side.scale)
        for side in (batch.source, batch.target)
    ]
    model = SourceModel(params, state.stats, graphdef)
    source, target, _ = pass_domains(model, *images, policy="joint", key=KEY)
    return source, target


@pytest.fixture
def case(x64):
    _, update, state, batch = composed("dann", hidden=4)
    state = as_float64(state)
    return update, dataclasses.replace(state, step=jnp.int64(2)), as_float64(batch)


def head_logits(head, features):
    """The head of the domain, written out."""
    for number, layer in enumerate(head["layers"].values()):
        x = jax.nn.relu(features) if number else features
        features = x @ layer["kernel"][0, 0] + layer["bias"]
    return features


def test_loss_and_gradients_are_the_equation(case):
    update, state, batch = case
    setting = update.loss.setting
    strength = 2 / (1 + np.exp(-10 * 2 / RECIPE.steps)) - 1

    def parts(network, head):
        source, target = features_and_logits(network, state, batch, setting.graphdef)
        ce = cross_entropy(source.logits, jnp.asarray(batch.source.labels))
        told = (
            jax.nn.softplus(-head_logits(head, source.features)).mean()
            + jax.nn.softplus(head_logits(head, target.features)).mean()
        )
        return ce, told / 2

    (value, outcome), slope = jax.value_and_grad(update.loss, has_aux=True)(
        state.params, state, batch, KEY
    )
    net, head = state.params["network"], state.params["domain"]
    ce, domain = parts(net, head)
    np.testing.assert_allclose(value, ce + domain, rtol=1e-12)
    np.testing.assert_allclose(outcome.seen["source"], ce, rtol=1e-12)
    np.testing.assert_allclose(outcome.seen["domain"], domain, rtol=1e-12)
    of_ce = jax.grad(lambda n: parts(n, head)[0])(net)
    of_domain, of_head = jax.grad(lambda n, h: parts(n, h)[1], argnums=(0, 1))(
        net, head
    )
    expected = jax.tree.map(lambda a, b: a - strength * b, of_ce, of_domain)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13)  # noqa: E731
    jax.tree.map(close, slope["network"], expected)
    jax.tree.map(close, slope["domain"], of_head)
    still = jax.grad(update.loss, has_aux=True)(
        state.params, dataclasses.replace(state, step=jnp.int64(0)), batch, KEY
    )[0]  # the strength is 0: the gradient of source only, and the head learns
    jax.tree.map(close, still["network"], of_ce)
    jax.tree.map(close, still["domain"], of_head)


def test_the_pooled_head_judges_the_mean(case):
    _, update, state, batch = composed("dann", head="pooled", hidden=4)
    state, batch = as_float64(state), as_float64(batch)
    setting = update.loss.setting
    source, _ = features_and_logits(
        state.params["network"], state, batch, setting.graphdef
    )
    found = setting.judge("domain", state.params, source.features)
    mean = source.features.mean(axis=(1, 2), keepdims=True)
    expected = head_logits(state.params["domain"], mean)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_accuracy_of_the_head_by_hand():
    # 2 of 3 source logits are positive, 1 of 2 target logits is not.
    found = told_apart(jnp.array([1.0, 2.0, -1.0]), jnp.array([-1.0, 1.0]))
    np.testing.assert_allclose(found, (2 / 3 + 1 / 2) / 2, rtol=1e-6)


def test_a_ramp_that_falls_is_refused():
    with pytest.raises(ValueError, match=r"gamma: -1\.0 must be above 0"):
        get_method("dann", gamma=-1.0)

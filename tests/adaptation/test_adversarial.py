import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.adaptation.cases import RECIPE, SHAPE, as_float64, composed, network
from tests.training.cases import Tiny, changed
from trfjax.adaptation import get_method
from trfjax.adaptation.domains import pass_domains
from trfjax.adaptation.method import compose
from trfjax.state import Output, SourceModel, TrainedModel, apply, freeze
from trfjax.training.evaluate import standardise
from trfjax.training.losses import cross_entropy
from trfjax.training.step import step

KEY = jax.random.key(7)


class Deep(Tiny):
    """The tiny network with auxiliary logits."""

    def __call__(self, x, *, aux=False, taps=(), rngs=None):
        out = super().__call__(x, rngs=rngs)
        logits = (0.5 * out.logits**2,) if aux else ()
        return Output(out.logits, out.logits, out.features, aux=logits)


def deep():
    from flax import nnx

    model = freeze(Deep(3, width=2, rngs=nnx.Rngs(0)))
    return TrainedModel(model, network().card)


def both(params, state, batch, graphdef, policy):
    images = [
        standardise(jnp.asarray(side.images, jnp.float64) / 255, side.scale)
        for side in (batch.source, batch.target)
    ]
    model = SourceModel(params, state.stats, graphdef)
    source, target, _ = pass_domains(model, *images, policy=policy, aux=True, key=KEY)
    return source, target


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adaptsegnet", {}),
        ("adaptsegnet_ls", {}),
        ("fcd_light", {}),
        ("adaptsegnet_multi", {"batch_norm": "frozen"}),
    ],
)
def test_both_losses_are_the_equations(name, options, x64):
    recipe = changed(RECIPE, aux_weight=0.1)
    method, update, state, batch = composed(
        name, recipe, deep(), num_layers=2, **options
    )
    state, batch = as_float64(state), as_float64(batch)
    setting = update.loss.setting

    def score(level, probs, discriminator):
        judge = dict(setting.parts)[f"level{level}"]
        return apply(
            SourceModel(discriminator[f"level{level}"], {}, judge), probs
        ).logits

    def fooling(z):
        if method.kind == "ls":
            return ((z - 1) ** 2).mean()
        return jnp.log1p(jnp.exp(-z)).mean()

    def expected(params):
        policy = options.get("batch_norm", "sequential")
        source, target = both(params["network"], state, batch, setting.graphdef, policy)
        labels = jnp.asarray(batch.source.labels)
        total = cross_entropy(source.logits, labels)
        total += 0.1 * cross_entropy(source.aux[0], labels)
        for level, weight in enumerate(method.weights):
            logits = (target.logits, *target.aux)[level]
            z = score(level, jax.nn.softmax(logits), state.discriminator)
            total += weight * fooling(z)
        return total

    (value, outcome), slope = jax.value_and_grad(update.loss, has_aux=True)(
        state.params, state, batch, KEY
    )
    np.testing.assert_allclose(value, expected(state.params), rtol=1e-12)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13),
        slope,
        jax.grad(expected)(state.params),
    )
    found, seen = update.discriminator_loss(
        state.discriminator, state, batch, outcome.shown, KEY
    )
    by_hand = 0.0
    for level in range(len(method.weights)):
        s, t = outcome.shown[f"level{level}"]
        np.testing.assert_allclose(s.sum(axis=-1), 1, rtol=1e-12)
        s, t = (score(level, x, state.discriminator) for x in (s, t))
        if method.kind == "ls":
            by_hand += ((s - 1) ** 2).mean() / 2 + (t**2).mean() / 2
        else:
            by_hand += jnp.log1p(jnp.exp(-s)).mean() / 2
            by_hand += jnp.log1p(jnp.exp(t)).mean() / 2
        assert 0 <= seen[f"told_level{level}"] <= 1
    np.testing.assert_allclose(found, by_hand, rtol=1e-12)


def test_the_discriminator_learns_from_predictions_before_the_update():
    """Its new parameters are those of one update on what the old network showed."""
    _, update, state, batch = composed("adaptsegnet", num_layers=2)
    after, seen, fine = step(state, batch, KEY, update=update)
    drawn = jax.random.fold_in(KEY, state.step)
    _, outcome = update.loss(state.params, state, batch, drawn)
    slope = jax.grad(
        lambda d: update.discriminator_loss(d, state, batch, outcome.shown, KEY)[0]
    )(state.discriminator)
    rule = update.discriminator_rule
    moves, _ = rule.update(slope, rule.init(state.discriminator), state.discriminator)
    expected = jax.tree.map(jnp.add, state.discriminator, moves)
    # Adam first moves by rate * g / (|g| + 1e-8), which roundoff changes at g near 0.
    # The rate is 1e-4, so a wrong sign would be 2e-4 away.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=5e-6),
        after.discriminator,
        expected,
    )
    late = dataclasses.replace(state, params=after.params)
    _, other = update.loss(after.params, late, batch, drawn)
    first, second = outcome.shown["level0"][1], other.shown["level0"][1]
    assert fine and np.abs(first - second).max() > 1e-4  # the orders differ
    assert {"source", "fooling_level0", "told_level0"} <= set(seen)


def test_an_all_ignored_source_is_finite():
    _, update, state, batch = composed("fcd_light", num_layers=2)
    nothing = dataclasses.replace(
        batch.source, labels=np.full_like(batch.source.labels, 255)
    )
    _, seen, fine = step(
        state, dataclasses.replace(batch, source=nothing), KEY, update=update
    )
    assert fine and seen["source"] == 0


def test_what_does_not_fit_is_refused():
    source = network()
    multi = get_method("adaptsegnet_multi")
    with pytest.raises(ValueError, match="weights: 2 levels, and tiny has 1"):
        compose(multi, source.model, source.card, SHAPE, RECIPE)
    with pytest.raises(ValueError, match=r"weights: \(\) must name one"):
        get_method("fcd", weights=())
    with pytest.raises(ValueError, match="aux_weight: 0"):
        _, update, state, batch = composed(
            "adaptsegnet_multi", model=deep(), num_layers=2
        )
        update.loss(state.params, state, batch, KEY)
    with pytest.raises(ValueError, match="unknown method 'dan'; available: source"):
        get_method("dan")
    with pytest.raises(ValueError, match="dann: unknown setting 'gama'; available"):
        get_method("dann", gama=1)

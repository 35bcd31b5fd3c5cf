import jax.numpy as jnp
import numpy as np

from trfjax.adaptation.rules import PolyAdam, PolySGD, poly


def test_sgd_of_torch_with_a_faster_head(x64, rng):
    """v <- m v + (g + wd p); p <- p - rate v, by hand for three steps."""
    rule = PolySGD(0.1, 4, momentum=0.8, weight_decay=0.01, head=("head",))
    trees = rng.normal(size=(2, 3))
    params = {
        "network": {"body": {"kernel": jnp.asarray(trees[0])}},
        "domain": {"head": {"kernel": jnp.asarray(trees[0])}},  # not of the network
    }
    params["network"]["head"] = {"kernel": jnp.asarray(trees[1])}
    state = rule.init(params)
    assert rule == PolySGD(0.1, 4, momentum=0.8, weight_decay=0.01, head=("head",))
    body, head = trees.copy()
    moving = np.zeros((2, 3))
    for t in range(3):
        slopes = rng.normal(size=(2, 3))
        gradient = {
            "network": {
                "body": {"kernel": jnp.asarray(slopes[0])},
                "head": {"kernel": jnp.asarray(slopes[1])},
            },
            "domain": {"head": {"kernel": jnp.asarray(slopes[0])}},
        }
        updates, state = rule.update(gradient, state, params)
        params = {
            part: {
                name: {"kernel": layer["kernel"] + updates[part][name]["kernel"]}
                for name, layer in layers.items()
            }
            for part, layers in params.items()
        }
        moving = 0.8 * moving + slopes + 0.01 * np.stack([body, head])
        rate = 0.1 * (1 - t / 4) ** 0.9
        body, head = body - rate * moving[0], head - 10 * rate * moving[1]
    # optax computes the rate of its schedule in float32.
    np.testing.assert_allclose(params["network"]["body"]["kernel"], body, rtol=1e-6)
    np.testing.assert_allclose(params["network"]["head"]["kernel"], head, rtol=1e-6)
    domain = params["domain"]["head"]["kernel"]
    np.testing.assert_allclose(domain, body, rtol=1e-6)


def test_the_schedule_ends_at_zero_and_stays():
    rate = poly(2.0, 10)
    np.testing.assert_allclose(rate(0), 2.0)
    np.testing.assert_allclose(rate(5), 2 * 0.5**0.9, rtol=1e-6)
    assert rate(10) == 0 and rate(11) == 0


def test_adam_begins_with_its_rate():
    rule = PolyAdam(steps=10)
    params = {"w": jnp.ones(2)}
    gradient = {"w": jnp.array([3.0, -0.5])}
    updates, _ = rule.update(gradient, rule.init(params), params)
    # The first move of Adam is the rate in the direction of the sign.
    np.testing.assert_allclose(updates["w"], [-1e-4, 1e-4], rtol=1e-4)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.cases import assert_same, network
from trfjax.adaptation.domains import pass_domains
from trfjax.state import apply


@pytest.fixture
def images(rng):
    one = jnp.asarray(rng.normal(size=(2, 8, 8, 3)), jnp.float32)
    return one, 3 + 2 * jnp.asarray(rng.normal(size=(3, 8, 8, 3)), jnp.float32)


def first_mean(stats):
    return np.asarray(stats["norm1"]["mean"])


def by_hand(model, *batches):
    """The running mean of the first norm after these batches, momentum 0.9."""
    kernel, mean = model.params["conv1"], first_mean(model.stats)
    for batch in batches:
        pad = jnp.pad(batch, ((0, 0), (1, 1), (1, 1), (0, 0)))
        out = jax.lax.conv_general_dilated(
            pad,
            kernel["kernel"],
            (1, 1),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        seen = np.asarray(out + kernel["bias"], np.float64).mean(axis=(0, 1, 2))
        mean = 0.9 * mean + 0.1 * seen
    return mean


def test_the_policies_differ_in_what_is_averaged(images, key):
    model, (source, target) = network().model, images
    found = {
        policy: pass_domains(model, source, target, policy=policy, key=key)
        for policy in ("joint", "sequential", "frozen")
    }
    both = jnp.concatenate([source, target])
    means = {policy: first_mean(stats) for policy, (_, _, stats) in found.items()}
    np.testing.assert_allclose(means["joint"], by_hand(model, both), rtol=1e-5)
    np.testing.assert_allclose(
        means["sequential"], by_hand(model, source, target), rtol=1e-5
    )
    assert_same(found["frozen"][2], model.stats)
    assert_same(found["frozen"][1], apply(model, target))
    for one, other, _ in found.values():
        assert one.logits.shape[0] == 2 and other.logits.shape[0] == 3


def test_one_batch_needs_one_size(images, key):
    source, target = images
    with pytest.raises(ValueError, match=r"\(8, 8, 3\) and \(8, 4, 3\).*'joint'"):
        pass_domains(network().model, source, target[:, :, :4], policy="joint", key=key)

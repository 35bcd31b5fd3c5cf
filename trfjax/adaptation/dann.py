"""DANN: features from which a head behind gradient reversal cannot tell the domain.

Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016. Published:
SGD with momentum 0.9, rate 0.01 / (1 + 10 p)^0.75, batch 128, digits. Deviations: for
segmentation the head judges every position of the penultimate map (`head="pooled"`
judges its mean, the literal counterpart); the rule is that of the recipe.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from trfjax.adaptation.domains import Policy
from trfjax.adaptation.losses import telling_loss
from trfjax.adaptation.method import Begun, Method, Pair, Setting
from trfjax.adaptation.reversal import check_gamma, ramp, reverse
from trfjax.adaptation.view import source_loss, summed, view
from trfjax.models.discriminators import create_discriminator
from trfjax.state import ModelCard, SourceModel, apply
from trfjax.training.step import Outcome, State


@dataclasses.dataclass(frozen=True)
class DANN(Method):
    r"""Cross-entropy of the source and, behind the reversal, of the domain.

    $$\mathrm{CE}(y_s) + \tfrac{w}{2} \left[\mathrm{bce}(D(R_\lambda f_s), 1)
    + \mathrm{bce}(D(R_\lambda f_t), 0)\right], \qquad \lambda = \tanh(\gamma p / 2)$$
    """

    batch_norm: Policy = "joint"
    head: Literal["pixels", "pooled"] = "pixels"
    hidden: int = 256  # of the head
    weight: float = 1.0  # w, of the loss of the domain
    gamma: float = 10.0  # how fast the reversal grows strong

    def __post_init__(self) -> None:
        check_gamma(self.gamma)

    def init(
        self, model: SourceModel, card: ModelCard, image: tuple[int, ...], *, key: Any
    ) -> Begun:
        """Return the head of the domain."""
        images = jax.ShapeDtypeStruct((2, *image), "float32")
        features = jax.eval_shape(lambda m, x: apply(m, x).features, model, images)
        head = create_discriminator(
            self.head, features.shape[-1], hidden=self.hidden, key=key
        )
        return Begun(heads={"domain": head})

    def loss(
        self,
        setting: Setting,
        params: PyTree,
        state: State,
        batch: Pair,
        key: PRNGKeyArray,
    ) -> tuple[Array, Outcome]:
        """Return the loss above; "domain_accuracy" says how often the head is right."""
        seen = view(self, setting, params, state, batch, key)
        strength = ramp(state.step / setting.steps, gamma=self.gamma)

        def judge(features: Array) -> Array:
            hidden = reverse(as_map(features), strength)
            return setting.judge("domain", params, hidden)

        source, target = judge(seen.source.features), judge(seen.target.features)
        domain = telling_loss(source, target, kind="ce")
        terms = {
            "source": (1.0, source_loss(setting, seen)),
            "domain": (self.weight, domain),
        }
        total, outcome = summed(seen, state, terms)
        record = outcome.seen | {"domain_accuracy": told_apart(source, target)}
        return total, outcome._replace(seen=record)


def as_map(features: Float[Array, "b ... c"]) -> Float[Array, "b h w c"]:
    """Return features as a map; one vector an image is a map of one pixel."""
    return features[:, None, None, :] if features.ndim == 2 else features


def told_apart(
    source: Float[Array, "*s"], target: Float[Array, "*t"], *, middle: float = 0.0
) -> Float[Array, ""]:
    """Return the balanced accuracy of a discriminator; 0.5 where it is fooled."""
    right = jnp.mean(source > middle), jnp.mean(target <= middle)
    return (right[0] + right[1]) / 2


DANN_PIXELS = DANN()

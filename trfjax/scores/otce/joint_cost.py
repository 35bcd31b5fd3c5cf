"""JC-OTCE: OTCE under a cost that knows how far apart the labels are."""

from __future__ import annotations

import dataclasses
import functools
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from trfjax.arrays import is_traced
from trfjax.promotion import usual_promotion
from trfjax.scores.bounds import ENTROPY, entropy_bounds, entropy_limits, minus_entropy
from trfjax.scores.otce.draws import SETTINGS, Drawing, score_draws
from trfjax.scores.otce.label_distances import LabelDistance, label_distances
from trfjax.scores.otce.otce import trial
from trfjax.scores.otce.resampled import resampled_draws
from trfjax.scores.otce.result import OtceResult, Solver, details_of
from trfjax.scores.spec import ScoreSpec, laws
from trfjax.transport.problem import Problem, Settings, mean_cost
from trfjax.typing import IGNORE, ArrayInput, Count, FeatureSpace, PRNGKeyArray


@usual_promotion
def jc_otce(
    source_features: ArrayInput,
    source_labels: ArrayInput,
    target_features: ArrayInput,
    target_labels: ArrayInput,
    *,
    gamma: float | int = 0.5,
    label_distance: LabelDistance = "gaussian",
    num_samples: int = 10_000,
    repeats: int = 10,
    epsilon: float | Array = 0.1,
    relative_epsilon: bool = False,
    key: PRNGKeyArray | int,
    feature_space: FeatureSpace = "probs",
    solver: Solver = "fast",
    num_source_classes: Count | None = None,
    num_classes: Count | None = None,
    ignore: int = IGNORE,
    settings: Settings | None = None,
) -> OtceResult:
    r"""JC-OTCE: OTCE whose coupling also prefers classes that lie close together.

    The score is that of `otce`, the cost of a pair is extended by a distance between
    its labels, taken between the class-conditional clouds of every draw:

    $$C_{ij} = \gamma \|x_i - y_j\|^2 + (1 - \gamma) L[s_i, t_j], \qquad
    L[s, t] = W_2^2(\{x : s\}, \{y : t\}).$$

    That is the squared distance of points with as many further coordinates as there
    are target classes, so it costs little more than `otce`.

    Args:
        source_features: `(n, d)` rows or `(b, h, w, d)` maps.
        source_labels: integer source ids, `(n,)` or `(b, h, w)`.
        target_features: likewise for the target, of the same width `d`.
        target_labels: likewise.
        gamma: weight of the features in `[0, 1]`; 1 is `otce` itself, to the bit.
        label_distance: `"gaussian"`, the closed form for the means and covariances of
            the classes: the default, since it uses every instance, needs no subsample,
            and is defined under jit; `"means"`, the squared distance of the means;
            `"entropic"`, the transported cost at `epsilon` less half of what each
            class costs to itself, on up to 256 instances of a class; `"exact"`, an
            assignment between equally many instances of both classes, up to 256 (a
            subsample, with the upward bias of one; on the host, not under jit).
        num_samples: instances drawn from each side, without replacement.
        repeats: number of draws the score is averaged over.
        epsilon: entropic regularisation, in units of the cost.
        relative_epsilon: multiply epsilon by the mean cost of the draw.
        key: a JAX key, or an int to make one from.
        feature_space: what the features are; `"probs"` must be rows on the simplex.
        solver: `"fast"`, `"ott"` or `"exact"`, as in `otce`.
        num_source_classes: None re-indexes the ids present; a number fixes the range.
        num_classes: likewise for the target. Both are needed under jit.
        ignore: the label that counts for nothing, on both sides.
        settings: stopping rule of the entropic solver.

    Returns:
        What `otce` returns; `domain_difference` is the mean of the extended cost under
        the plan. In derivatives the label distances are held constant. Nothing is
        drawn beyond what `otce` draws: the instances of a class are the first drawn.

    Raises:
        TypeError, ValueError: as in `otce`; a gamma outside `[0, 1]`.

    Reference:
        Tan, Li and Huang, "Transferability-Guided Cross-Domain Cross-Task Transfer
        Learning", 2022; distances of labels: Alvarez-Melis and Fusi, "Geometric
        Dataset Distances via Optimal Transport", NeurIPS 2020, Equation 5.
    """
    if is_traced(gamma) or not 0 <= gamma <= 1:
        raise ValueError(f"gamma: {gamma!r} is not a number in [0, 1]")
    if label_distance not in get_args(LabelDistance):
        raise ValueError(
            f"label_distance: {label_distance!r} is none of "
            f"{', '.join(get_args(LabelDistance))}"
        )

    def ground(problems: Problem) -> tuple[Problem, Array]:
        mean = mean_cost(problems) if relative_epsilon else 1.0
        distances = label_distances(problems, label_distance, epsilon * mean)
        return extend(problems, lax.stop_gradient(distances), gamma)

    drawing = Drawing(
        num_samples=num_samples,
        repeats=repeats,
        epsilon=epsilon,
        relative_epsilon=relative_epsilon,
        key=key,
        feature_space=feature_space,
        solver=solver,
        ignore=ignore,
        settings=settings,
    )
    return score_draws(
        (source_features, source_labels, num_source_classes),
        (target_features, target_labels, num_classes),
        drawing,
        ground=None if gamma == 1 else ground,
    )


@functools.partial(jax.jit, static_argnames=("gamma",))
def extend(
    problems: Problem, distances: Float[Array, "k s t"], gamma: float | int
) -> tuple[Problem, Float[Array, " k"]]:
    """Append coordinates whose inner products carry the distances of labels.

    Returns:
        Problems, and the mean squared distance of their points less the mean cost
        (of every plan with their marginals, since it is a sum over either side).
    """
    p = jnp.einsum("kn,kns->ks", problems.source_weights, problems.source_labels)
    q = jnp.einsum("km,kmt->kt", problems.target_weights, problems.target_labels)
    # Terms of one side alone change no plan: without them the coordinates are short.
    rows = jnp.einsum("kst,kt->ks", distances, q)
    columns = jnp.einsum("kst,ks->kt", distances, p) - jnp.sum(p * rows, 1)[:, None]
    middle = distances - rows[:, :, None] - columns[:, None]
    present = (p > 0)[:, :, None] & (q > 0)[:, None]
    middle = (1 - gamma) / 2 * jnp.where(present, middle, 0)
    # Both sides of about the same length.
    length = jnp.sqrt(jnp.abs(middle).max(axis=(1, 2)) + 1e-12)[:, None, None]
    left = jnp.matmul(problems.source_labels, middle, precision="highest")
    left = -left / length
    right = problems.target_labels * length
    root = np.sqrt(gamma)
    extended = dataclasses.replace(
        problems,
        source=jnp.concatenate([root * problems.source, left], axis=2),
        target=jnp.concatenate([root * problems.target, right], axis=2),
    )
    longer = jnp.einsum("kn,knt->k", problems.source_weights, left**2)
    longer += jnp.einsum("km,kmt->k", problems.target_weights, right**2)
    removed = jnp.sum(p * rows, axis=1) + jnp.sum(q * columns, axis=1)
    return extended, longer - (1 - gamma) * removed


SPEC = ScoreSpec(
    name="jc_otce",
    function=jc_otce,
    inputs=("source_features", "source_labels", "target_features"),
    title="JC-OTCE",
    unit="nats",
    bounds=entropy_bounds,
    floor=minus_entropy,
    limits=entropy_limits,
    explained=ENTROPY,
    sensitive=("architecture", "size"),
    laws=laws(
        "source_names", "duplicates", "rotation", "shift", "scale", "zero_feature"
    ),
    space="probs",
    settings=SETTINGS,
    details=details_of,
    resampled=resampled_draws,
    weighted=False,
    rtol=1e-4,
    trial=trial,
)

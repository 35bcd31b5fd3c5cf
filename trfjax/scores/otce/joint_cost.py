"""JC-OTCE: OTCE under a cost that knows how far apart the labels are."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Literal, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from trfjax.arrays import is_traced, safe_divide
from trfjax.promotion import usual_promotion
from trfjax.scores.otce.draws import SETTINGS, mean_cost, score_draws
from trfjax.scores.otce.otce import trial
from trfjax.scores.otce.resampled import resampled_draws
from trfjax.scores.otce.result import OtceResult, Solver, details_of
from trfjax.scores.spec import (
    ENTROPY,
    ScoreSpec,
    entropy_bounds,
    entropy_limits,
    laws,
    minus_entropy,
)
from trfjax.transport.exact import exact_joint
from trfjax.transport.joint import couple_many
from trfjax.transport.problem import Problem, Settings
from trfjax.typing import IGNORE, ArrayInput, Count, FeatureSpace, PRNGKeyArray

LabelDistance: TypeAlias = Literal["exact", "entropic", "gaussian", "means"]
CLASS_SAMPLES = 256  # instances of a class its cloud is made of, where one is needed


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

    return score_draws(
        (source_features, source_labels, num_source_classes),
        (target_features, target_labels, num_classes),
        num_samples=num_samples, repeats=repeats, epsilon=epsilon,
        relative_epsilon=relative_epsilon, key=key, feature_space=feature_space,
        solver=solver, ignore=ignore, settings=settings,
        ground=None if gamma == 1 else ground,
    )  # fmt: skip


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


def label_distances(
    problems: Problem, kind: LabelDistance, epsilon: Any
) -> Float[Array, "k s t"]:
    """Return the distances of the classes of every draw; 0 where one is absent."""
    if kind == "exact":
        return _exact(problems)
    if kind == "entropic":
        epsilon = jnp.broadcast_to(epsilon, len(problems.source))
        return _entropic(problems, epsilon)
    return _closed_form(problems, kind == "gaussian")


@functools.partial(jax.jit, static_argnames=("spread",))
def _closed_form(problems: Problem, spread: bool) -> Float[Array, "k s t"]:
    def one(problem: Problem) -> Array:
        shift = problem.source_weights @ problem.source
        x, y = problem.source - shift, problem.target - shift
        p, left = _class_shares(problem.source_weights, problem.source_labels)
        q, right = _class_shares(problem.target_weights, problem.target_labels)
        means = left @ x, right @ y
        distance = jnp.sum((means[0][:, None] - means[1][None]) ** 2, axis=2)
        if spread:
            distance = distance + _bures(_roots(x, left), _roots(y, right))
        return jnp.where((p > 0)[:, None] & (q > 0), distance, 0)

    return lax.map(one, problems)


def _class_shares(weights: Array, labels: Array) -> tuple[Array, Array]:
    """Return the mass of every class, and the share each instance has in it."""
    mass = weights @ labels
    return mass, safe_divide((weights[:, None] * labels).T, mass[:, None])


def _roots(points: Float[Array, "n d"], shares: Float[Array, "s n"]) -> Array:
    """Return the square roots of the covariances of all classes."""

    def one(share: Array) -> Array:
        apart = (points - share @ points) * jnp.sqrt(share)[:, None]
        values, vectors = jnp.linalg.eigh(
            jnp.matmul(apart.T, apart, precision="highest")
        )
        return (vectors * jnp.sqrt(jnp.maximum(values, 0))) @ vectors.T

    return lax.map(one, shares)


def _bures(left: Float[Array, "s d d"], right: Float[Array, "t d d"]) -> Array:
    """Return `tr(S + T - 2 (S^1/2 T S^1/2)^1/2)` from the square roots of S and T.

    The last trace is the sum of singular values of the product of the roots, which
    loses less to rounding than the root of a product of covariances.
    """

    def one(root: Array) -> Array:
        products = jnp.matmul(root, right, precision="highest")
        return jnp.linalg.svd(products, compute_uv=False).sum(axis=1)

    cross = lax.map(one, left)
    size = jnp.sum(left**2, axis=(1, 2))[:, None] + jnp.sum(right**2, axis=(1, 2))
    return jnp.maximum(size - 2 * cross, 0)


@jax.jit
def _entropic(problems: Problem, epsilon: Float[Array, " k"]) -> Float[Array, "k s t"]:
    def one(part: tuple[Problem, Array]) -> Array:
        problem, epsilon = part
        x, a, p = _class_clouds(
            problem.source, problem.source_weights, problem.source_labels
        )
        y, b, q = _class_clouds(
            problem.target, problem.target_weights, problem.target_labels
        )
        rows, columns = jnp.meshgrid(jnp.arange(len(x)), jnp.arange(len(y)))
        i, j = rows.T.reshape(-1), columns.T.reshape(-1)
        across = _costs(x[i], a[i], y[j], b[j], epsilon).reshape(len(x), len(y))
        own = _costs(x, a, x, a, epsilon)[:, None] + _costs(y, b, y, b, epsilon)
        distance = jnp.maximum(across - own / 2, 0)
        return jnp.where((p > 0)[:, None] & (q > 0), distance, 0)

    return lax.map(one, (problems, epsilon))


def _class_clouds(
    points: Array, weights: Array, labels: Array
) -> tuple[Array, Array, Array]:
    """Return the first instances of every class, padded with weight 0."""
    count = min(CLASS_SAMPLES, len(points))

    def one(share: Array) -> tuple[Array, Array]:
        order = jnp.argsort(~(share > 0), stable=True)[:count]
        chosen = share[order]
        # An absent class is any one point; what it costs is not used.
        chosen = jnp.where(chosen.sum() > 0, chosen, jnp.arange(count) == 0)
        return points[order], chosen / chosen.sum()

    clouds, chosen = lax.map(one, (weights[:, None] * labels).T)
    return clouds, chosen, weights @ labels


def _costs(x: Array, a: Array, y: Array, b: Array, epsilon: Array) -> Array:
    """Return the transported cost of every pair of clouds."""
    pairs = Problem(
        x, y, a, b, jnp.ones((*a.shape, 1), x.dtype), jnp.ones((*b.shape, 1), y.dtype)
    )
    return couple_many(pairs, epsilon=epsilon).cost


def _exact(problems: Problem) -> Float[Array, "k s t"]:
    if is_traced(problems.source, problems.target, problems.source_labels):
        raise TypeError(
            "label_distance='exact' runs on the host and cannot be traced; use "
            "'gaussian', 'entropic' or 'means'"
        )
    x, ys, y, yt = (
        np.asarray(part, np.float64) for part in (
            problems.source, problems.source_labels,
            problems.target, problems.target_labels,
        )
    )  # fmt: skip
    found = np.zeros((len(x), ys.shape[2], yt.shape[2]))
    for k, s, t in np.ndindex(*found.shape):
        left, right = x[k][ys[k, :, s] > 0], y[k][yt[k, :, t] > 0]
        count = min(len(left), len(right), CLASS_SAMPLES)
        if count:
            one = np.ones((count, 1))
            found[k, s, t] = exact_joint(left[:count], one, right[:count], one)[2]
    return jnp.asarray(found, problems.source.dtype)


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

r"""What atoms change: the same pixels, coupled as they are and as their atoms.

Let J be the label joint of the atoms of all pixels. A few pixels are drawn from each
side and coupled twice, once where they stand and once where their atoms stand. Both
couplings have the same marginals, those of the pixels drawn, so that their difference
holds next to nothing of the luck of the draw: it is what standing elsewhere does. Its
mean over K draws is added,

$$\hat J = J + \frac1K \sum_k (J_k^{\text{pixels}} - J_k^{\text{atoms}}),$$

and the marginals stay those of all pixels. This is a control variate: an entropy of the
draws alone would scatter ten times as much. How far it scatters, and how far it is
biased for being an entropy of a mean, is read off by leaving out one draw at a time.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from trfjax.atoms.atoms import Atoms
from trfjax.transport.joint import Transport, couple_many
from trfjax.transport.problem import Problem, Settings

PIXELS, DRAWS = 512, 16  # of a draw, and draws
LARGE, LARGE_DRAWS = 2_048, 8  # likewise, where those do not tell enough
LEAST = 4  # draws: fewer say little of their spread
ENOUGH = 0.004  # nats: a smaller error asks for no large draws
LEVEL = 0.995  # quantile of the error that is reported
ROUND = 64  # points are padded to a multiple of this


class Draws(NamedTuple):
    """The number of draws, the pixels of each, and the room for points."""

    number: int
    pixels: int
    room: int


class Correction(NamedTuple):
    """The correction of what the atoms of all pixels say."""

    joint: Float[np.ndarray, "s t"]  # to the label joint; rows and columns sum to 0
    cost: float  # to the transported distance
    standard_error: float  # of the entropy
    effect: float  # nats: the error of the entropy that is left is hardly larger
    draws: int


def draws_of(source: Atoms, target: Atoms) -> list[Draws]:
    """Return what the samples of two sets have pixels for: many small draws, few large.

    The smaller a draw, the less its plan is like that of all pixels.
    """
    held = min(len(source.sample), len(target.sample))
    found = []
    for pixels, number in ((PIXELS, DRAWS), (LARGE, LARGE_DRAWS)):
        number = min(max(held // pixels, LEAST), number)
        pixels = min(held // number, pixels)
        points = max(PIXELS, pixels, len(source), len(target))
        found.append(Draws(number, pixels, points + -points % ROUND))
    return found if found[1].pixels > found[0].pixels else found[:1]


def problem_of(source: Atoms, target: Atoms) -> Problem:
    """Return the transport problem between two sets of atoms."""
    sides = []
    for atoms in (source, target):
        room = len(atoms) + -len(atoms) % ROUND
        sides.append(_side(atoms.points[None], atoms.histograms()[None], room))
    return _problem(*(tuple(part[0] for part in side) for side in sides))


def solved(
    source: Atoms, target: Atoms, epsilon: float, settings: Settings
) -> tuple[Transport, Correction]:
    """Couple the atoms of all pixels, and find what has to be added.

    Large draws are taken where small ones leave too large an error. A sample too small
    to tell anything leaves an infinite one.

    Args:
        source: atoms of the source.
        target: atoms of the target.
        epsilon: entropic regularisation, in units of the squared distance.
        settings: stopping rule.
    """
    whole = correction = None
    before: tuple[int, float] | None = None
    for draws in draws_of(source, target):
        problems = _problem(*(_columns(atoms, draws) for atoms in (source, target)))
        found = _coupled(problems, epsilon, settings)
        whole = jax.tree.map(_first, found)
        joint = np.asarray(whole.joint, np.float64)
        correction = corrected(joint, *_differences(found))
        entropy = entropy_of(joint / joint.sum() + correction.joint)
        if before is not None:
            # What the size of a draw does falls as 1 / size: this much of it is left.
            left = abs(entropy - before[1]) / (draws.pixels / before[0] - 1)
            correction = correction._replace(effect=correction.effect + left)
        if correction.effect <= ENOUGH:
            break
        before = draws.pixels, entropy
    assert whole is not None and correction is not None  # there are draws
    return whole, correction


def _first(part: jax.Array) -> jax.Array:
    """Return the first, cut on the host: a slice of JAX is a program of its own."""
    return jax.device_put(np.asarray(part)[0])


def _differences(found: Transport) -> tuple[np.ndarray, np.ndarray]:
    """Return joints and costs of the draws as pixels, less those as atoms."""
    joint, cost = np.asarray(found.joint), np.asarray(found.cost)
    pixels, atoms = np.split(np.arange(1, len(joint)), 2)
    converged = np.asarray(found.converged)
    kept = converged[pixels] & converged[atoms]
    joint = joint / joint.sum(axis=(1, 2), keepdims=True)
    return (joint[pixels] - joint[atoms])[kept], (cost[pixels] - cost[atoms])[kept]


def corrected(
    joint: Float[np.ndarray, "s t"],
    differences: Float[np.ndarray, "k s t"],
    costs: Float[np.ndarray, " k"],
) -> Correction:
    """Return the mean of the differences, and what is known of its error.

    Args:
        joint: of the atoms of all pixels.
        differences: joint of the pixels of a draw, less that of their atoms.
        costs: likewise of the transported distance.
    """
    count = len(differences)
    if count < LEAST:
        nothing = np.zeros_like(joint, np.float64)
        return Correction(nothing, 0.0, np.inf, np.inf, count)
    joint = np.asarray(joint, np.float64) / joint.sum()
    total = differences.sum(axis=0, dtype=np.float64)
    entropy = entropy_of(joint + total / count)
    without = joint + (total - differences) / (count - 1)
    left_out = np.array([entropy_of(one) for one in without])
    error = float(np.sqrt((count - 1) * left_out.var()))
    bias = (count - 1) * float(left_out.mean() - entropy)
    effect = float(student.ppf(LEVEL, count - 1)) * error + abs(bias)
    return Correction(total / count, float(costs.mean()), error, effect, count)


def entropy_of(joint: Float[np.ndarray, "s t"]) -> float:
    """Return H(t | s) in nats; what a correction has made negative counts as 0."""
    joint = np.maximum(joint, 0)
    joint = joint / joint.sum()
    rows = joint.sum(axis=1, keepdims=True)
    given = joint / np.where(rows > 0, rows, 1)
    return -float(np.sum(joint * np.log(np.where(joint > 0, given, 1))))


@functools.partial(jax.jit, static_argnames=("settings",))
def _coupled(problems: Problem, epsilon: Any, settings: Settings) -> Transport:
    return couple_many(problems, epsilon=epsilon, settings=settings)


def _columns(atoms: Atoms, draws: Draws) -> tuple[np.ndarray, ...]:
    """Return one side: all pixels as atoms, draws as pixels, and draws as atoms."""
    count, size, room = draws
    sample = atoms.sample.take(slice(size * count))
    number, width = 1 + 2 * count, max(len(atoms), size)
    points = np.zeros((number, width, atoms.points.shape[1]), np.float32)
    mass = np.zeros((number, width, atoms.num_classes), np.float32)
    draw, place = np.divmod(np.arange(len(sample)), max(size, 1))
    mass[0, : len(atoms)] = atoms.histograms()
    mass[1 + draw, place, sample.labels] = 1
    np.add.at(mass, (1 + count + draw, sample.atom, sample.labels), 1)
    points[:, : len(atoms)] = atoms.points
    points[1 : 1 + count] = 0
    points[1 + draw, place] = sample.features
    return _side(points, mass, room)


def _side(points: np.ndarray, mass: np.ndarray, room: int) -> tuple[np.ndarray, ...]:
    """Return points, weights and label shares, padded to a number of points."""
    weights = mass.sum(axis=2)
    shares = mass / np.where(weights > 0, weights, 1)[:, :, None]
    weights = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-30)
    return tuple(
        np.pad(
            part,
            [(0, 0), (0, room - part.shape[1])] + [(0, 0)] * (part.ndim - 2),
        )
        for part in (points, weights, shares)
    )


def _problem(source: tuple[np.ndarray, ...], target: tuple[np.ndarray, ...]) -> Problem:
    (x, a, s), (y, b, t) = source, target
    # NumPy arrays: each of them turned into one of JAX would be a program of its own.
    return Problem(
        source=x,
        target=y,
        source_weights=a,
        target_weights=b,
        source_labels=s,
        target_labels=t,
    )

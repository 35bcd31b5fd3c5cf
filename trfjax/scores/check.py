"""One battery of laws that every score is held to, for ours and for yours."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from trfjax.errors import ScoreWarning
from trfjax.scores import SCORES
from trfjax.scores.example import CLASSED, TARGET_SIDE, Case, example_case
from trfjax.scores.laws import LAWS
from trfjax.scores.spec import ScoreSpec
from trfjax.scores.traced import Forms, forms_of
from trfjax.scores.vocabulary import Law
from trfjax.typing import IGNORE, ArrayInput

X64_RTOL = 1e-9


def check_score(
    score: str | ScoreSpec,
    arrays: Mapping[str, ArrayInput] | None = None,
    target_labels: ArrayInput | None = None,
    *,
    rtol: float | None = None,
    seed: int = 0,
) -> None:
    """Hold a score to its bounds, its invariances and the manners of every score.

    The laws are those its `ScoreSpec` names, and for every score: a scalar within
    bounds; inputs left alone and the same bytes twice; read-only, strided and map-
    shaped arrays; ignored rows, even NaN, count for nothing; weights are
    multiplicities; float32 agrees with float64; jit and vmap agree with the plain
    call; finite gradients.

    Args:
        score: the name of a registered score, or the spec of your own.
        arrays: arrays by the names of `ScoreSpec.inputs`, one row an instance; made up
            when None.
        target_labels: target ids; rows with the ignore value 255 are left out.
        rtol: tolerance relative to `max(1, |score|)`; by default that of the spec, or
            1e-9 with x64 enabled.
        seed: of the made-up data and of the changes tried.

    Raises:
        AssertionError: a law that does not hold, with the score and both values.
        ValueError: an unknown name, or data with fewer than two target classes.
    """
    if isinstance(score, str):
        score = SCORES.named(score)
    if "network" in score.inputs:
        raise ValueError(f"{score.name}: reads a network; the laws are of arrays")
    case = example_case(seed=seed)
    if arrays is not None:
        case = _given_case(score, arrays, np.asarray(target_labels))
    if rtol is None:
        double = jax.dtypes.canonicalize_dtype(np.float64) == np.float64
        rtol = X64_RTOL if double else score.rtol
    battery = _Battery(score, case, rtol, np.random.default_rng(seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScoreWarning)
        battery.run()


def _given_case(
    spec: ScoreSpec, arrays: Mapping[str, ArrayInput], labels: np.ndarray
) -> Case:
    keep = labels != IGNORE
    classes, indices = np.unique(labels[keep], return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"target_labels: {len(classes)} classes; the laws need at least 2"
        )
    found = {name: np.asarray(arrays[name]) for name in spec.inputs}
    found = {k: v[keep] if k in TARGET_SIDE else v for k, v in found.items()}
    for name in set(found) & set(CLASSED):
        found[name] = np.unique(found[name], return_inverse=True)[1]
    return Case(found, indices, len(classes))


@dataclasses.dataclass(frozen=True)
class _Battery:
    """A score, a case, and the laws it is held to there."""

    spec: ScoreSpec
    case: Case
    rtol: float
    rng: np.random.Generator

    def run(self) -> None:
        self.manners()  # first: a score that writes has written after one call
        self.bounds()
        if self.spec.labels == "ids":
            self.ignored()
        self.forms()
        for law in sorted(self.spec.laws):
            self.law(law)
        self.merging()
        if self.spec.weighted:
            self.weights()
        self.precision()
        if self.spec.transforms:
            self.transformed()
        if self.spec.differentiable:
            self.gradient()

    # What is compared.

    def value(self, case: Case | None = None, **settings: Any) -> float:
        case = self.case if case is None else case
        settings = {"num_classes": case.num_classes, **settings}
        settings |= self.spec.trial()
        value = np.asarray(self.spec(case.arrays, case.labels, **settings))
        self.require(value.shape == (), "scalar", f"shape {value.shape}")
        return float(value)

    def require(self, holds: Any, law: str, found: str) -> None:
        if not holds:
            raise AssertionError(f"{self.spec.name}: {law}: {found}")

    def same(self, law: str, case: Case, to: float | None = None, **settings: Any):
        self.close(
            law, self.value(case, **settings), self.value() if to is None else to
        )

    def close(self, law: str, got: float, expected: float, rtol: float | None = None):
        slack = (self.rtol if rtol is None else rtol) * max(1, abs(expected))
        self.require(
            abs(got - expected) <= slack, law, f"{got!r} instead of {expected!r}"
        )

    # What every score keeps.

    def bounds(self) -> None:
        value = self.value()
        low, high = self.spec.bounds(self.case.labels, self.case.arrays)
        slack = self.rtol * max(1, abs(value))
        inside = low - slack <= value <= high + slack and np.isfinite(value)
        self.require(inside, "bounds", f"{value} is outside [{low}, {high}]")

    def manners(self) -> None:
        before = {k: v.copy() for k, v in self.case.arrays.items()}
        labels, first = self.case.labels.copy(), self.value()
        self.require(first == self.value(), "idempotent", "a second call differs")
        kept = all(np.array_equal(v, self.case.arrays[k]) for k, v in before.items())
        kept &= np.array_equal(labels, self.case.labels)
        self.require(kept, "inputs unchanged", "an input was modified")

    def ignored(self) -> None:
        out = self.rng.permutation(len(self.case.labels))[:3]
        labels = self.case.labels.copy()
        labels[out] = IGNORE
        spoilt = dataclasses.replace(self.case, labels=labels)

        def spoil(array: np.ndarray) -> np.ndarray:
            array = array.copy()
            array[out] = np.nan if array.dtype.kind == "f" else 0
            return array

        left = np.setdiff1d(np.arange(len(labels)), out)
        removed = self.value(self.case.rows(left))
        self.same("ignored rows", spoilt.map(spoil, *TARGET_SIDE), removed)

    def forms(self) -> None:
        def awkward(array: np.ndarray) -> np.ndarray:
            array = np.repeat(array, 2, axis=0)[::2]
            array.flags.writeable = False
            return array

        everything = tuple(self.case.arrays)
        self.same("read-only and strided arrays", self.case.map(awkward, *everything))
        n = len(self.case.labels)
        if n % 4 == 0:
            self.same("maps", self.case.rows(np.arange(n).reshape(2, n // 4, 2)))

    def weights(self) -> None:
        weights = self.rng.permutation(np.arange(len(self.case.labels)) % 3)
        repeated = self.case.rows(np.repeat(np.arange(len(weights)), weights))
        got = self.value(weights=weights.astype(np.float32))
        self.close("weights are multiplicities", got, self.value(repeated))

    def precision(self) -> None:
        with jax.enable_x64(False):
            single = self.value()
        with jax.enable_x64(True):
            double = lambda a: a.astype(np.float64) if a.dtype.kind == "f" else a  # noqa: E731
            case = self.case.map(double, *self.case.arrays)
            self.close("float32 and float64", single, self.value(case), self.spec.rtol)

    def transformed(self) -> None:
        names, labels = self.spec.inputs, jnp.asarray(self.case.labels)
        rolled = self.case.rows(np.roll(np.arange(len(labels)), 1)).arrays
        stacked = [jnp.stack([self.case.arrays[name], rolled[name]]) for name in names]
        forms = self.traced()
        first = [array[0] for array in stacked]
        self.close("jit", float(forms.jitted(*first, labels)), self.value())
        both = forms.mapped(*stacked, labels)
        self.close("vmap", float(both[0]), self.value())
        second = dataclasses.replace(self.case, arrays=dict(self.case.arrays, **rolled))
        self.close("vmap", float(both[1]), self.value(second))

    def gradient(self) -> None:
        arrays = [jnp.asarray(self.case.arrays[name]) for name in self.spec.inputs]
        labels = jnp.asarray(self.case.labels)
        places = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
        found = self.traced().gradient(*arrays, labels)
        for place, array in zip(places, found, strict=True):
            bad = int((~jnp.isfinite(array)).sum())
            name = self.spec.inputs[place]
            self.require(bad == 0, "finite gradient", f"{bad} bad entries by {name}")

    def traced(self) -> Forms:
        sources = [k for k in self.spec.inputs if k in CLASSED]
        ids = [int(self.case.arrays[name].max()) + 1 for name in sources]
        floats = (self.case.arrays[k].dtype.kind == "f" for k in self.spec.inputs)
        return forms_of(
            self.spec, self.case.num_classes, *ids[:1], floats=tuple(floats)
        )

    # What a spec may promise.

    def law(self, name: Law) -> None:
        case = LAWS[name](self.case, self.rng)
        self.same(name.replace("_", " "), case)
        if name == "target_names":
            ids = dataclasses.replace(case, labels=-7 + 1000 * case.labels)
            self.same("target names", ids, num_classes=None)
            more = self.case.num_classes + 2
            self.same("unused target ids", case, num_classes=more)

    def merging(self) -> None:
        labels = np.where(self.case.labels == 1, 0, self.case.labels)
        case = dataclasses.replace(self.case, labels=labels)
        self.direction("merging target classes", case, self.spec.merging_targets)
        case = self.case.map(lambda ids: np.where(ids == 1, 0, ids), *CLASSED)
        self.direction("merging source classes", case, self.spec.merging_sources)

    def direction(self, law: str, case: Case, promised: str | None) -> None:
        if promised is None:
            return
        before, after = self.value(), self.value(case)
        rise = after - before if promised == "not higher" else before - after
        slack = self.rtol * max(1, abs(before))
        self.require(rise <= slack, law, f"{after!r} after {before!r}, is {promised}")

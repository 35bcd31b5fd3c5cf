"""The jackknife over images: one estimate of several scores, and how sure it is."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float
from scipy.optimize import isotonic_regression
from scipy.stats import t as student

from trfjax.statistics.interval import Interval

# An interval of a difference is drawn at 1 - CAUTION (1 - level), so that it keeps the
# level on few images. Found by simulation; see docs/trust.md.
CAUTION = 0.6
DRAWS = 20_000  # of the multivariate t that probabilities are counted in
TIE = 1e-9  # of the spread: closer values are equal


def pseudo_values(
    score: float, left_out: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    r"""Return what every image alone says of a score: $n \theta - (n-1) \theta_{(j)}$.

    Their mean is the score without the part of its bias that falls as 1 / n, and their
    sample variance divided by n is the variance of that mean.

    Args:
        score: on all n images.
        left_out: with each image left out once.

    Reference:
        Miller, "The Jackknife: A Review", Biometrika 61, 1974.
    """
    n = len(left_out)
    return n * score - (n - 1) * np.asarray(left_out, np.float64)


def corrected(score: float, left_out: Float[np.ndarray, " n"], smooth: bool) -> float:
    """Return the mean of the pseudo-values; the score where that cannot be trusted.

    Args:
        score: on all images.
        left_out: with each image left out; those that are NaN say nothing.
        smooth: whether the jackknife can tell the bias of the score.
    """
    known = np.asarray(left_out, np.float64)
    known = known[np.isfinite(known)]
    if not smooth or len(known) < 2:
        return score
    return float(pseudo_values(score, known).mean())


@dataclasses.dataclass(frozen=True, eq=False)
class Pool:
    """Estimates of k scores from the same n images.

    `apart` are the pseudo-values less their mean, so that the covariance of the
    estimates is `apart.T @ apart / (n (n - 1))`.
    """

    values: Float[np.ndarray, " k"]
    apart: Float[np.ndarray, "n k"]

    @classmethod
    def of(
        cls, values: Float[np.ndarray, " k"], left_out: Float[np.ndarray, "k n"]
    ) -> Pool:
        """Return the pool of these estimates.

        Args:
            values: the estimates.
            left_out: scores with each image left out. Images that some score is not
                defined without are not counted.
        """
        left_out = np.asarray(left_out, np.float64)
        known = left_out[:, np.isfinite(left_out).all(axis=0)].T
        centre = known.sum(axis=0, keepdims=True) / max(len(known), 1)
        apart = (len(known) - 1) * (centre - known)
        return cls(np.asarray(values, np.float64), apart)

    @property
    def images(self) -> int:
        """How many images the estimates rest on."""
        return len(self.apart)

    def difference(self, first: int, second: int, level: float = 0.9) -> Interval:
        r"""Return by how much one estimate exceeds another, paired by the images.

        $$\Delta \pm t_{n-1} \sqrt{\tfrac{1}{n(n-1)} \textstyle\sum_j \delta_j^2}$$

        with what the images say of the difference, $\delta_j$, less its mean. Few
        images with strong effects of their own make Student's interval too short, so
        its confidence is $1 - 0.6\,(1 - \text{level})$.
        """
        n, value = self.images, float(self.values[first] - self.values[second])
        if n < 2:
            return Interval(value, float("nan"), float("nan"), n)
        apart = self.apart[:, first] - self.apart[:, second]
        error = np.sqrt(np.sum(apart**2) / (n * (n - 1)))
        reach = student.ppf(1 - CAUTION * (1 - level) / 2, n - 1) * error
        return Interval(value, value - float(reach), value + float(reach), n)

    def probability_first(self) -> Float[np.ndarray, " k"]:
        """Return for each the probability that its true value is the largest.

        Draws of a multivariate t with the estimates, their covariance and n - 1 degrees
        of freedom are counted; ties share. A score that is less sure can come first
        more often than one of a higher estimate; such neighbours share what they have,
        so that the probabilities fall in the order of the estimates.
        """
        n, k = self.images, len(self.values)
        rng = np.random.default_rng(0)
        root = np.linalg.qr(self.apart, mode="r") / np.sqrt(n * (n - 1))  # (<= k, k)
        normal = rng.standard_normal((DRAWS, len(root))) @ root
        scale = np.sqrt((n - 1) / rng.chisquare(n - 1, size=(DRAWS, 1)))
        drawn = self.values + normal * scale
        top = drawn.max(axis=1, keepdims=True)
        first = drawn >= top - TIE * np.ptp(drawn, axis=1, keepdims=True) - 1e-12
        share = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
        order = np.argsort(-self.values, kind="stable")
        found = np.empty(k)
        found[order] = isotonic_regression(share[order], increasing=False).x
        return found

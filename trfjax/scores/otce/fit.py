"""The full OTCE: a linear model of both differences, learnt from auxiliary tasks."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np

from trfjax.arrays import as_float
from trfjax.errors import ScoreWarning
from trfjax.promotion import usual_promotion
from trfjax.typing import ArrayInput

TERMS = ("domain_difference", "task_difference")


@dataclasses.dataclass(frozen=True)
class FullOtce:
    """The fitted model `lambda1 W_D + lambda2 W_T + b` on standardised differences.

    A coefficient of a difference that never varied is 0.
    """

    coefficients: tuple[float, float]  # lambda1 (domain), lambda2 (task)
    intercept: float
    mean: tuple[float, float]  # of the auxiliary tasks
    deviation: tuple[float, float]  # population standard deviation; 0 if dropped
    r_squared: float  # NaN when there are no residual degrees of freedom
    residual: float  # root mean square, in units of the performance
    condition: float  # of the standardised design; large: the terms are confounded

    def predict(
        self, domain_difference: ArrayInput, task_difference: ArrayInput
    ) -> np.ndarray:
        """Predict the performance of new tasks; larger means more transferable."""
        columns = np.stack(
            [
                np.asarray(as_float(name, value), np.float64)
                for name, value in zip(
                    TERMS, (domain_difference, task_difference), strict=True
                )
            ],
            axis=-1,
        )
        deviation = np.array(self.deviation)
        scale = np.where(deviation > 0, deviation, 1)
        values = (columns - self.mean) / scale @ self.coefficients + self.intercept
        return np.asarray(values)


@usual_promotion
def fit_otce(
    domain_difference: ArrayInput,
    task_difference: ArrayInput,
    performance: ArrayInput,
) -> FullOtce:
    r"""Learn the full OTCE score from tasks whose transfer has been measured.

    $$OTCE = \lambda_1 \hat W_D + \lambda_2 \hat W_T + b$$

    with both differences standardised over the auxiliary tasks and an ordinary
    least-squares fit of the measured performance.

    Args:
        domain_difference: `(n,)` W_D of the auxiliary tasks.
        task_difference: `(n,)` W_T of the same tasks.
        performance: `(n,)` measured transfer, larger is better.

    Returns:
        The model; `predict` applies it to new tasks.

    Raises:
        ValueError: lengths that differ, values that are not finite, fewer than 3
            tasks.

    Reference:
        Tan, Li and Huang, "OTCE: A Transferability Metric for Cross-Domain Cross-Task
        Representations", CVPR 2021, Section 3.4.
    """
    values = (domain_difference, task_difference, performance)
    domain, task, measured = (
        np.asarray(as_float(name, value), np.float64).reshape(-1)
        for name, value in zip((*TERMS, "performance"), values, strict=True)
    )
    if not len(domain) == len(task) == len(measured):
        raise ValueError(
            f"performance: {len(domain)} domain differences, {len(task)} task "
            f"differences and {len(measured)} performances; give one of each per task"
        )
    if len(measured) < 3:
        raise ValueError(
            f"performance: {len(measured)} auxiliary tasks; 3 numbers are fitted, so "
            "at least 3 are needed, and more to see a residual"
        )
    columns = np.stack([domain, task], axis=1)
    mean, deviation = columns.mean(axis=0), columns.std(axis=0)
    varies = deviation > 1e-12 * np.maximum(np.abs(mean), 1)
    deviation = np.where(varies, deviation, 0)
    for name in np.array(TERMS)[~varies]:
        warnings.warn(f"{name}: the same for all tasks, dropped", ScoreWarning, 2)
    design = np.column_stack([((columns - mean) / np.where(varies, deviation, 1))])
    design = np.column_stack([design[:, varies], np.ones(len(measured))])
    solution = np.linalg.lstsq(design, measured, rcond=None)[0]
    coefficients = np.zeros(2)
    coefficients[varies] = solution[:-1]
    for name, value in zip(TERMS, coefficients, strict=True):
        if value > 0:
            warnings.warn(
                f"{name}: its coefficient is positive ({value:.3g}), so tasks further "
                "apart transferred better; check the auxiliary tasks",
                ScoreWarning,
                stacklevel=2,
            )
    misfit = measured - design @ solution
    total = np.sum((measured - measured.mean()) ** 2)
    free = len(measured) > design.shape[1] and total > 0
    return FullOtce(
        coefficients=(float(coefficients[0]), float(coefficients[1])),
        intercept=float(solution[-1]),
        mean=(float(mean[0]), float(mean[1])),
        deviation=(float(deviation[0]), float(deviation[1])),
        r_squared=float(1 - np.sum(misfit**2) / total) if free else float("nan"),
        residual=float(np.sqrt(np.mean(misfit**2))),
        condition=float(np.linalg.cond(design)),
    )

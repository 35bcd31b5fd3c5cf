"""CPU seconds of every target-only score beside the obvious NumPy form.

python benchmarks/scores.py [width ...]: 10,000 rows, 10 classes, 20 images.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import trfjax

ROWS, CLASSES, IMAGES = 10_000, 10, 20


def timed(work: Callable[[], Any]) -> float:
    """Return the CPU seconds of the second call; the first one compiles."""
    jax.block_until_ready(work())
    started = time.process_time()
    jax.block_until_ready(work())
    return time.process_time() - started


def h_score_numpy(features: np.ndarray, labels: np.ndarray) -> float:
    """Invert the covariance."""
    centred = features - features.mean(axis=0)
    means = np.stack([centred[labels == c].mean(axis=0) for c in range(CLASSES)])
    between = (means[labels].T @ means[labels]) / len(labels)
    whole = centred.T @ centred / len(labels)
    return float(np.trace(np.linalg.pinv(whole) @ between))


def transrate_numpy(features: np.ndarray, labels: np.ndarray) -> float:
    """Take the rows of every class."""

    def rate(rows: np.ndarray) -> float:
        gram = np.eye(rows.shape[1]) + rows.T @ rows / (len(rows) * 1e-4)
        return float(np.linalg.slogdet(gram)[1] / 2)

    centred = features - features.mean(axis=0)
    parts = [np.mean(labels == c) * rate(centred[labels == c]) for c in range(CLASSES)]
    return rate(centred) - sum(parts)


def lfc_numpy(features: np.ndarray, labels: np.ndarray) -> float:
    """Make both matrices of pairs."""
    kernel = features @ features.T
    same = np.where(labels[:, None] == labels, np.float32(1), np.float32(-1))
    kernel, same = kernel - kernel.mean(), same - same.mean()
    lengths = np.linalg.norm(kernel) * np.linalg.norm(same)
    return float(np.sum(kernel * same) / lengths)


NUMPY = {"h_score": h_score_numpy, "transrate": transrate_numpy, "lfc": lfc_numpy}
NAMES = ("h_score", "logme", "transrate", "gbc", "sfda", "lfc", "linear_probe",
         "knn", "parc")  # fmt: skip


def main(widths: list[int]) -> None:
    """Print one table."""
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=ROWS)
    images = rng.integers(IMAGES, size=ROWS)
    print(f"{platform.machine()}, jax {jax.__version__}, numpy {np.__version__}")
    print(f"CPU seconds, second call; {ROWS:,} rows, {CLASSES} classes")
    for width in widths:
        centres = rng.normal(size=(CLASSES, width))
        features = centres[labels] + rng.normal(size=(ROWS, width))
        features = features.astype(np.float32)
        for name in NAMES:
            more = {"images": images} if name in ("linear_probe", "knn") else {}
            score = getattr(trfjax, name)
            ours = timed(lambda s=score, m=more, f=features: s(f, labels, **m))
            plain = NUMPY.get(name)
            theirs = timed(lambda p=plain, f=features: p(f, labels)) if plain else None
            beside = "" if theirs is None else f"   NumPy {theirs:8.3f}"
            print(f"D = {width:4}  {name:14} {ours:8.3f}{beside}", flush=True)


if __name__ == "__main__":
    main([int(width) for width in sys.argv[1:]] or [19, 512])

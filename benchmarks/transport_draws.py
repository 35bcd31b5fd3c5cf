"""The problems of the transport benchmark: features of two cities, draws of them."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

SIZE = (64, 128)
STEPS = 150
POOL = 120_000  # pixels extracted of each city
SPACES = ("probs", "logits", "penultimate")


def features(options: argparse.Namespace) -> tuple[Any, Any, str]:
    """Return source and target features, and where they are from."""
    from trfjax.features.featureset import FeatureSet

    if options.features:
        paths = [Path(p) for p in options.features]
        note = f"features of {paths[0].name} and {paths[1].name}"
    else:
        name = f"{options.width}-{STEPS}"
        paths = [options.work / f"{c}-{name}.safetensors" for c in ("arden", "other")]
        if not all(path.exists() for path in paths):
            train_and_extract(options.width, paths)
        note = f"U-Net of width {options.width}, {STEPS} steps on a synthetic city"
    source, target = (FeatureSet.load(path) for path in paths)
    return source, target, note


def train_and_extract(width: int, paths: list[Path]) -> None:
    """Train a small U-Net on one synthetic city; extract pixels of it and another."""
    import jax

    from trfjax.data.synthetic import CITIES, synthetic_city
    from trfjax.features.extract import extract
    from trfjax.models import create_model
    from trfjax.state import ModelCard
    from trfjax.training.recipe import Recipe
    from trfjax.training.train import train

    names = list(CITIES)
    cities = [synthetic_city(names[i], 24, size=SIZE, seed=i) for i in (0, 1)]
    config = {"num_classes": cities[0].num_classes, "width": width}
    card = ModelCard(
        name="benchmark", architecture="unet", config=config,
        class_names=cities[0].class_names, input_size=SIZE,
    )  # fmt: skip
    model = create_model("unet", key=jax.random.key(0), **config)
    recipe = Recipe(steps=STEPS, batch_size=4)
    trained = train(model, cities[0], card=card, recipe=recipe).trained
    for city, path in zip(cities, paths, strict=True):
        spaces = ("probs", "logits", "penultimate")
        extract(trained, city, spaces=spaces, pixels=POOL).save(path)


def write_draws(
    path: Path, source: Any, target: Any, space: str, n: int, count: int
) -> dict[str, Any]:
    """Draw pixels of both sides and write them; return what a job has to know."""
    rng = np.random.default_rng(n)
    sides = []
    for side in (source, target):
        values, labels = side.space(space), side.labels
        index = np.stack(
            [rng.permutation(len(labels))[:n] for _ in range(count)]
        )  # fmt: skip
        sides.append((values[index].astype(np.float32), labels[index]))
    (x, ys), (y, yt) = sides
    a, b = (np.full(z.shape[:2], 1 / z.shape[1], np.float32) for z in (x, y))
    return write(path, x, ys, y, yt, a, b)


def write_map(path: Path, source: Any, target: Any, count: int) -> dict[str, Any]:
    """Draw the problems of a map: 64 to 256 points each, padded to 256."""
    rng = np.random.default_rng(0)
    sides = []
    for side in (source, target):
        index = rng.integers(0, len(side.labels), (count, 256))
        sizes = rng.integers(64, 257, count)
        weights = (np.arange(256) < sizes[:, None]) / sizes[:, None]
        values = side.space("probs")[index].astype(np.float32)
        sides.append((values, side.labels[index], weights.astype(np.float32)))
    (x, ys, a), (y, yt, b) = sides
    return write(path, x, ys, y, yt, a, b)


def write(path: Path, *arrays: np.ndarray) -> dict[str, Any]:
    names = ("x", "ys", "y", "yt", "a", "b")
    np.savez(path, **dict(zip(names, arrays, strict=True)))  # pyright: ignore
    x, ys, _, yt = arrays[:4]
    classes = [int(labels.max()) + 1 for labels in (ys, yt)]
    digest = hashlib.sha256(b"".join(part.tobytes() for part in arrays)).hexdigest()
    return {
        "file": str(path), "classes": classes, "d": int(x.shape[-1]),
        "count": len(x), "n": x.shape[1],
        "digest": digest[:16],
    }  # fmt: skip


def draw(arrays: dict[str, np.ndarray], k: int) -> tuple[np.ndarray, ...]:
    """Return one draw without its padding, and its weights."""
    a, b = arrays["a"][k], arrays["b"][k]
    left, right = a > 0, b > 0
    return (
        arrays["x"][k][left], arrays["ys"][k][left],
        arrays["y"][k][right], arrays["yt"][k][right], a[left], b[right],
    )  # fmt: skip


def one_hot(labels: np.ndarray, classes: int, dtype: Any = np.float64) -> np.ndarray:
    return np.eye(classes, dtype=dtype)[labels]


def joint_of(plan: Any, ys: np.ndarray, yt: np.ndarray, job: dict[str, Any]) -> Any:
    sources, targets = job["classes"]
    return one_hot(ys, sources).T @ (plan @ one_hot(yt, targets))


def entropy_of(joint: np.ndarray) -> float:
    """Return H(column | row) by the definition."""
    joint = np.asarray(joint, np.float64) / np.sum(joint, dtype=np.float64)
    rows = np.broadcast_to(joint.sum(1, keepdims=True), joint.shape)
    kept = joint > 0
    return float(-np.sum(joint[kept] * np.log(joint[kept] / rows[kept])))

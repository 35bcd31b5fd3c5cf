"""Maps as rows, and what is likely wrong where shapes do not fit."""

from __future__ import annotations

from trfjax.typing import AnyArray


def flatten(
    names: tuple[str, str], features: AnyArray, labels: AnyArray
) -> tuple[AnyArray, AnyArray]:
    """Flatten `(b, h, w, d)` maps with `(b, h, w)` labels to rows; rows pass through.

    Raises:
        ValueError: other ranks, or shapes that do not belong together.
    """
    if features.ndim not in (2, 4):
        raise ValueError(
            f"{names[0]}: expected (n, d) rows or (b, h, w, d) maps, got shape "
            f"{features.shape}"
        )
    if labels.shape != features.shape[:-1]:
        raise ValueError(
            f"{names[1]}: shape {labels.shape} does not fit {names[0]} of shape "
            f"{features.shape}; expected {features.shape[:-1]}. "
            + _remedy(names[0], features.shape, labels.shape)
        )
    if features.shape[-1] == 0:
        raise ValueError(f"{names[0]}: shape {features.shape} has no columns")
    return features.reshape(-1, features.shape[-1]), labels.reshape(-1)


def _remedy(name: str, shape: tuple[int, ...], labels: tuple[int, ...]) -> str:
    """Say what is likely wrong with shapes that do not fit."""
    if len(shape) == 4 and labels == (shape[0],) and shape[2:] == (1, 1):
        return f"These are pooled vectors, channels first: {name}.reshape(n, d)."
    if len(shape) == 4 and labels == (shape[0],) and shape[1:3] == (1, 1):
        return f"These are pooled vectors: {name}.reshape(n, d)."
    if len(shape) == 4 and labels == (shape[0], *shape[2:]):
        return f"The channels are first; move them last: {name}.transpose(0, 2, 3, 1)."
    if len(shape) == 2 and labels == shape[1:] and len(labels) == 1:
        return f"The rows seem to be columns: pass {name}.T."
    if len(shape) == 2 and labels in ((shape[0], 1), (1, shape[0])):
        return "Pass the labels as one axis: labels.reshape(-1)."
    if len(shape) == 4:
        return "Resize the labels (nearest neighbour) to the feature grid first."
    return "Give every instance one label."

"""Which unlabelled target images to label next."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from trfjax.data.given_images import as_images
from trfjax.features.extract_all import extract_all

ATOMS = 256  # that all target pixels are compressed into


@dataclasses.dataclass(frozen=True, kw_only=True)
class Suggestion:
    """Images to label, the most useful first."""

    indices: tuple[int, ...]  # in the data set
    image_ids: tuple[str, ...]
    gains: tuple[float, ...]  # of each, given those before it; nats
    surprise: Float[np.ndarray, " i"]  # expected, of every image of the target; nats

    def __str__(self) -> str:
        rows = zip(self.image_ids, self.gains, self.indices, strict=True)
        lines = [
            f"{name}  gain {gain:.3f}  expected surprise {self.surprise[i]:.3f} nats"
            for name, gain, i in rows
        ]
        return "\n".join(lines)


def suggest(
    source: Any,
    target: Any,
    *,
    count: int = 20,
    atoms: int = ATOMS,
    batch_size: int = 8,
    seed: int = 0,
    progress: bool = True,
    **options: Any,
) -> Suggestion:
    r"""Suggest images to label: surprising ones that cover what the target shows.

    The pixels of the target, as the source's class probabilities, are compressed into
    atoms. The expected surprise $s_k$ of an atom is the entropy of its probabilities:
    what a label costs there in the mean, if the source is right about how unsure it is.
    With the share $m_k$ of all pixels, and the share $n_{ik}$ of the pixels of image i,
    that atom k stands for, images are added one at a time, each the one that raises

    $$F(S) = \sum_k s_k \sqrt{m_k \sum_{i \in S} n_{ik}}$$

    most. The root makes a second image of the same sight worth less than the first; F
    is submodular, so that the choice reaches 1 - 1/e of the best possible.

    Args:
        source: anything `extract` takes.
        target: images, as a `Dataset` or as arrays; labels are not looked at.
        count: how many to suggest.
        atoms: points that all pixels are compressed into at most.
        batch_size: images per call of the network.
        seed: of the search for atoms.
        progress: show a bar on a terminal.
        **options: of `extract_all`.

    Returns:
        The images, the first one most wanted, and what each of them adds.

    Raises:
        ValueError: a count that is not between 1 and the number of images.

    Reference:
        Concave over modular functions for choosing data: Wei, Liu, Kirchhoff and
        Bilmes, "Unsupervised Submodular Subset Selection for Speech Data", ICASSP 2014.
    """
    target = as_images(target)
    if not 1 <= count <= len(target):
        raise ValueError(
            f"count: {count} is not between 1 and the {len(target)} images of "
            f"{target.name}"
        )
    found = extract_all(
        source,
        target,
        atoms={"probs": atoms},
        batch_size=batch_size,
        seed=seed,
        progress=progress,
        **options,
    ).atoms["probs"]
    held = found.counts.sum(axis=2, dtype=np.float64)  # (images, atoms)
    probs = np.clip(found.points.astype(np.float64), np.finfo(float).tiny, 1)
    surprise = -np.sum(probs * np.log(probs), axis=1)
    shares = held / held.sum(axis=1, keepdims=True)
    mass = held.sum(axis=0) / held.sum()
    indices, gains = chosen(shares, mass, surprise, count)
    return Suggestion(
        indices=indices,
        gains=gains,
        surprise=shares @ surprise,
        image_ids=tuple(target.image_ids[i] for i in indices),
    )


def chosen(
    shares: Float[np.ndarray, "i k"],
    mass: Float[np.ndarray, " k"],
    surprise: Float[np.ndarray, " k"],
    count: int,
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the images that raise the value of `suggest` most, and by how much.

    Args:
        shares: of the atoms in every image.
        mass: of the atoms in all images.
        surprise: of the atoms.
        count: how many images.
    """
    covered = np.zeros_like(mass)
    indices: list[int] = []
    gains: list[float] = []
    for _ in range(count):
        before = np.sqrt(mass * covered)
        gain = (np.sqrt(mass * (covered + shares)) - before) @ surprise
        gain[indices] = -np.inf
        best = int(gain.argmax())
        indices.append(best)
        gains.append(float(gain[best]))
        covered = covered + shares[best]
    return tuple(indices), tuple(gains)

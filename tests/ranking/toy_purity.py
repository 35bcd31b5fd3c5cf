"""A score as anyone would add it: the formula, its form in sums, and its SPEC."""

import jax.numpy as jnp
import numpy as np

from trfjax.arrays import as_labels, index_labels, row_weights
from trfjax.scores.nce import label_counts
from trfjax.scores.spec import OfSums, ScoreSpec, laws, shares
from trfjax.typing import IGNORE


def purity(
    source_labels, target_labels, *, num_classes=None, num_source_classes=None,
    weights=None, ignore=IGNORE,
):  # fmt: skip
    """Share of instances whose label is the most frequent one of their source class."""
    source = as_labels("source_labels", source_labels).reshape(-1)
    target = as_labels("target_labels", target_labels).reshape(-1)
    known = row_weights("target_labels", target, ignore, weights)
    z, sources = index_labels("source_labels", source, known, num_source_classes)
    y, targets = index_labels("target_labels", target, known, num_classes, ignore)
    counts = label_counts(
        jnp.asarray(z), jnp.asarray(y), jnp.asarray(known),
        sources=len(sources), targets=len(targets),
    )  # fmt: skip
    return counts.max(axis=1).sum() / counts.sum()


def purity_of_counts(counts, multiplicities):
    joint = np.tensordot(np.asarray(multiplicities, float), counts, axes=1)
    return joint.max(axis=2).sum(axis=1) / joint.sum(axis=(1, 2))


SPEC = ScoreSpec(
    name="purity",
    function=purity,
    inputs=("target_predictions",),
    title="Purity",
    unit="share",
    bounds=lambda labels, arrays: (float(shares(labels).max()), 1.0),
    floor=lambda share: float(share.max()),
    laws=laws("source_names", "duplicates"),
    space="probs",
    of_sums=OfSums(tables=("target_counts",), replicates=purity_of_counts),
    merging_targets="not lower",
    merging_sources="not higher",
    differentiable=False,
)

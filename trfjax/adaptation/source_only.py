"""Source only: training goes on with source labels, and the target is not seen.

The baseline of every comparison: what adapts must gain over this, not over the network
before it.
"""

from __future__ import annotations

import dataclasses

from jaxtyping import Array, PRNGKeyArray, PyTree

from trfjax.adaptation.method import NETWORK, Method, Pair, Setting
from trfjax.training.step import Outcome, State
from trfjax.training.supervised import Supervised


@dataclasses.dataclass(frozen=True)
class SourceOnly(Method):
    """The step of `train`, bit for bit; `batch_norm="frozen"` holds statistics."""

    def loss(
        self,
        setting: Setting,
        params: PyTree,
        state: State,
        batch: Pair,
        key: PRNGKeyArray,
    ) -> tuple[Array, Outcome]:
        """Return the cross-entropy of the source."""
        plain = Supervised(
            graphdef=setting.graphdef,
            augment=setting.augment,
            weights=setting.weights,
            batch_norm="frozen" if self.batch_norm == "frozen" else "adapt",
        )
        return plain(params[NETWORK], state, batch.source, key)


SOURCE_ONLY = SourceOnly()

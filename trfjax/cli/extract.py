"""`trfjax extract`."""

from __future__ import annotations

from typing import Any

from trfjax.features.extract import extract
from trfjax.studies.runs import check_file, open_model, spec_of


def run(config: Any) -> int:
    """Extract features to a file."""
    out = check_file(config.out, "--out", ".safetensors")
    model = open_model(config.model)
    data = spec_of(config, config.data, seed=config.seed).load()
    features = extract(
        model, data,
        spaces=config.spaces, pixels=config.pixels, atoms=config.atoms,
        strategy=config.strategy,
        batch_size=config.batch_size, seed=config.seed,
    )  # fmt: skip
    features.save(out)
    print(f"{features}\nsaved as {out}")
    return 0

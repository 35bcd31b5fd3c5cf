"""`trfjax extract`."""

from __future__ import annotations

from typing import Any

from trfjax.features.extract import extract
from trfjax.features.extract_all import extract_all
from trfjax.studies.outputs import check_file
from trfjax.studies.runs import open_model
from trfjax.studies.specs import spec_of


def run(config: Any) -> int:
    """Extract features to a file."""
    out = check_file(config.out, "--out", ".safetensors")
    model = open_model(config.model)
    data = spec_of(config, config.data, seed=config.seed).load()
    common: dict[str, Any] = {"batch_size": config.batch_size, "seed": config.seed}
    if config.pixels == "all":
        if config.strategy != "uniform":
            raise ValueError(f"--strategy: {config.strategy!r} draws; all are taken")
        atoms = {space: config.atoms for space in config.spaces}
        features = extract_all(
            model, data, atoms=atoms, moments=config.spaces, **common
        )
    else:
        features = extract(
            model,
            data,
            spaces=config.spaces,
            pixels=config.pixels,
            strategy=config.strategy,
            **common,
        )
    features.save(out)
    print(f"{features}\nsaved as {out}")
    return 0

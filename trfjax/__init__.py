"""Transferability of trained networks, estimated before any fine-tuning."""

from __future__ import annotations

import importlib
from typing import Any

# Public name -> the module that defines it. Looked up on first use, so that
# `import trfjax` loads neither jax nor anything that does.
_PUBLIC: dict[str, str] = {
    "check_score": "trfjax.scores.check",
    "compress": "trfjax.atoms.compress",
    "conditional_entropy": "trfjax.transport.conditional",
    "extract": "trfjax.features.extract",
    "finetune": "trfjax.transfer.finetune",
    "guided_finetune": "trfjax.transfer.guided",
    "History": "trfjax.ranking.history",
    "Guide": "trfjax.transfer.guide",
    "fit_history": "trfjax.studies.fit_history",
    "fit_otce": "trfjax.scores.otce.fit",
    "h_score": "trfjax.scores.hscore",
    "jc_otce": "trfjax.scores.otce.joint_cost",
    "leave_one_target_out": "trfjax.studies.fit_history",
    "leep": "trfjax.scores.leep",
    "linear_probe": "trfjax.scores.linear_probe",
    "load_dataset": "trfjax.data",
    "logme": "trfjax.scores.logme",
    "nce": "trfjax.scores.nce",
    "otce": "trfjax.scores.otce.otce",
    "otce_atoms": "trfjax.scores.otce.atoms",
    "plot": "trfjax.reporting.plots",
    "rank": "trfjax.ranking.rank",
    "report": "trfjax.reporting.report",
    "shrunk_h_score": "trfjax.scores.hscore",
    "Atoms": "trfjax.atoms.atoms",
    "CompressedSet": "trfjax.features.compressed",
    "SavedSource": "trfjax.ranking.rank",
    "Source": "trfjax.ranking.rank",
    "train": "trfjax.training.train",
    "train_many": "trfjax.training.many",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(importlib.import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    if name == "__version__":
        from importlib.metadata import version

        return version("trfjax")
    raise AttributeError(f"module 'trfjax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

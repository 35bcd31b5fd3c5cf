"""Transferability of trained networks, estimated before any fine-tuning."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names, for type checkers and editors
    from trfjax.adaptation.adapt import adapt as adapt
    from trfjax.atoms.atoms import Atoms as Atoms
    from trfjax.atoms.compress import compress as compress
    from trfjax.data import load_dataset as load_dataset
    from trfjax.data.given import as_dataset as as_dataset
    from trfjax.features.compressed import CompressedSet as CompressedSet
    from trfjax.features.extract import extract as extract
    from trfjax.features.extract_all import extract_all as extract_all
    from trfjax.features.featureset import FeatureSet as FeatureSet
    from trfjax.features.predict import predict as predict
    from trfjax.maps.pixel_map import pixel_map as pixel_map
    from trfjax.maps.suggest import suggest as suggest
    from trfjax.maps.transfer_map import transfer_map as transfer_map
    from trfjax.ranking.history import History as History
    from trfjax.ranking.rank import SavedSource as SavedSource
    from trfjax.ranking.rank import Source as Source
    from trfjax.ranking.rank import rank as rank
    from trfjax.reporting.plots import plot as plot
    from trfjax.reporting.report import report as report
    from trfjax.scores.agreement import agreement as agreement
    from trfjax.scores.ccfv import ccfv as ccfv
    from trfjax.scores.check import check_score as check_score
    from trfjax.scores.energy import energy as energy
    from trfjax.scores.ensemble_agreement import (
        ensemble_agreement as ensemble_agreement,
    )
    from trfjax.scores.gbc import gbc as gbc
    from trfjax.scores.hscore import h_score as h_score
    from trfjax.scores.hscore_regression import h_score_regression as h_score_regression
    from trfjax.scores.kite import kite as kite
    from trfjax.scores.knn import knn as knn
    from trfjax.scores.leep import leep as leep
    from trfjax.scores.lfc import lfc as lfc
    from trfjax.scores.lgc import lgc as lgc
    from trfjax.scores.linear_probe import linear_probe as linear_probe
    from trfjax.scores.logme import logme as logme
    from trfjax.scores.max_h_score import max_h_score as max_h_score
    from trfjax.scores.nce import nce as nce
    from trfjax.scores.neighbourhood_density import (
        neighbourhood_density as neighbourhood_density,
    )
    from trfjax.scores.nleep import nleep as nleep
    from trfjax.scores.nleep import (
        nleep_from_responsibilities as nleep_from_responsibilities,
    )
    from trfjax.scores.nuclear_norm import nuclear_norm as nuclear_norm
    from trfjax.scores.otce.atoms import otce_atoms as otce_atoms
    from trfjax.scores.otce.fit import fit_otce as fit_otce
    from trfjax.scores.otce.joint_cost import jc_otce as jc_otce
    from trfjax.scores.otce.otce import otce as otce
    from trfjax.scores.parc import parc as parc
    from trfjax.scores.sfda import sfda as sfda
    from trfjax.scores.shrunk import shrunk_h_score as shrunk_h_score
    from trfjax.scores.soft_hgr import max_h_score_network as max_h_score_network
    from trfjax.scores.task_transferability import (
        task_transferability as task_transferability,
    )
    from trfjax.scores.transrate import transrate as transrate
    from trfjax.studies.fit_history import fit_history as fit_history
    from trfjax.studies.fit_history import leave_one_target_out as leave_one_target_out
    from trfjax.studies.select.select import select as select
    from trfjax.studies.sweep.sweep import sweep as sweep
    from trfjax.training.many import train_many as train_many
    from trfjax.training.train import train as train
    from trfjax.transfer.finetune import finetune as finetune
    from trfjax.transfer.guide import Guide as Guide
    from trfjax.transfer.guided import guided_finetune as guided_finetune
    from trfjax.transport.conditional import conditional_entropy as conditional_entropy

# Public name -> the module that defines it. Looked up on first use, so that
# `import trfjax` loads neither jax nor anything that does.
_PUBLIC: dict[str, str] = {
    "adapt": "trfjax.adaptation.adapt",
    "check_score": "trfjax.scores.check",
    "compress": "trfjax.atoms.compress",
    "conditional_entropy": "trfjax.transport.conditional",
    "extract": "trfjax.features.extract",
    "extract_all": "trfjax.features.extract_all",
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
    "as_dataset": "trfjax.data.given",
    "load_dataset": "trfjax.data",
    "logme": "trfjax.scores.logme",
    "nleep": "trfjax.scores.nleep",
    "nleep_from_responsibilities": "trfjax.scores.nleep",
    "transrate": "trfjax.scores.transrate",
    "gbc": "trfjax.scores.gbc",
    "sfda": "trfjax.scores.sfda",
    "parc": "trfjax.scores.parc",
    "lfc": "trfjax.scores.lfc",
    "lgc": "trfjax.scores.lgc",
    "kite": "trfjax.scores.kite",
    "knn": "trfjax.scores.knn",
    "energy": "trfjax.scores.energy",
    "ccfv": "trfjax.scores.ccfv",
    "max_h_score": "trfjax.scores.max_h_score",
    "max_h_score_network": "trfjax.scores.soft_hgr",
    "task_transferability": "trfjax.scores.task_transferability",
    "agreement": "trfjax.scores.agreement",
    "ensemble_agreement": "trfjax.scores.ensemble_agreement",
    "nuclear_norm": "trfjax.scores.nuclear_norm",
    "neighbourhood_density": "trfjax.scores.neighbourhood_density",
    "h_score_regression": "trfjax.scores.hscore_regression",
    "nce": "trfjax.scores.nce",
    "otce": "trfjax.scores.otce.otce",
    "otce_atoms": "trfjax.scores.otce.atoms",
    "pixel_map": "trfjax.maps.pixel_map",
    "select": "trfjax.studies.select.select",
    "suggest": "trfjax.maps.suggest",
    "sweep": "trfjax.studies.sweep.sweep",
    "transfer_map": "trfjax.maps.transfer_map",
    "plot": "trfjax.reporting.plots",
    "predict": "trfjax.features.predict",
    "rank": "trfjax.ranking.rank",
    "report": "trfjax.reporting.report",
    "shrunk_h_score": "trfjax.scores.shrunk",
    "Atoms": "trfjax.atoms.atoms",
    "CompressedSet": "trfjax.features.compressed",
    "FeatureSet": "trfjax.features.featureset",
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

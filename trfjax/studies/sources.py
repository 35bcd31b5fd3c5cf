"""Source networks of a study, each kept in a run folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax

from trfjax.data.dataset import Dataset
from trfjax.files import write_json
from trfjax.models import create_model
from trfjax.models.checkpoint import save_model
from trfjax.state import ModelCard, TrainedModel
from trfjax.studies.runs import MODEL, STATE
from trfjax.training.evaluate import Evaluation
from trfjax.training.recipe import Recipe
from trfjax.training.train import train


def train_to(
    folder: Path,
    card: ModelCard,
    data: Dataset,
    test: Dataset,
    recipe: Recipe,
    *,
    resume: bool = False,
    checkpoint_every: int = 100,
    progress: bool = True,
) -> tuple[TrainedModel, Evaluation]:
    """Train a network and keep it, its curve and its evaluation in a folder."""
    model = create_model(
        card.architecture, key=jax.random.key(recipe.seed), **card.config
    )
    result = train(
        model, data, card=card, recipe=recipe, checkpoint=folder / STATE,
        resume=resume, checkpoint_every=checkpoint_every, evaluate_on=test,
        progress=progress,
    )  # fmt: skip
    assert result.evaluation is not None  # there is a test set
    write_json(
        folder / "metrics.json",
        {
            "evaluation": result.evaluation.to_dict(),
            "history": result.history,
            "recipe": dataclasses.asdict(recipe),
            "trained_on": data.name,
            "tested_on": test.name,
        },
    )
    save_model(folder / MODEL, result.trained)
    return result.trained, result.evaluation

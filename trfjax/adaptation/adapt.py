"""Adapt a network to a target without labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

from trfjax.adaptation import get_method
from trfjax.adaptation.domains import check_sizes
from trfjax.adaptation.look import known_part, look
from trfjax.adaptation.method import Method
from trfjax.adaptation.result import AdaptResult
from trfjax.adaptation.seed import Validator, Work, adapt_seed
from trfjax.data import Dataset
from trfjax.numbers import as_count, as_seed
from trfjax.state import TrainedModel
from trfjax.training.checkpoints import check_suffix
from trfjax.training.evaluate import align, evaluate
from trfjax.training.recipe import Recipe
from trfjax.training.step import Rule
from trfjax.training.train import check_fit

ADAPT = Recipe(steps=200, batch_size=4, learning_rate=2e-3)


def adapt(
    source: TrainedModel,
    source_data: Dataset,
    target: Dataset,
    *,
    method: str | Method = "dann",
    recipe: Recipe = ADAPT,
    rule: Rule | None = None,
    seeds: Sequence[int] = (0,),
    test: Dataset | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    checkpoint_every: int = 100,
    validator: str = "last",
    validate_every: int = 50,
    progress: bool = True,
    on_step: Callable[[int, float], Any] | None = None,
) -> AdaptResult:
    """Adapt a network to images of a target that has no labels.

    Labels of the target never enter: not the steps, not the choice of a step.

    Args:
        source: the network; left as it is.
        source_data: labelled images of what it was trained on; its classes are those
            of the network, by name.
        target: images; their labels are not read but to report.
        method: a name of `METHODS`, or a method with other settings.
        recipe: of every method: steps, images a step of each domain, rate,
            augmentation. Its seed is replaced by those of `seeds`.
        rule: what moves the network, instead of the recipe's AdamW, such as `PolySGD`.
        seeds: one run each.
        test: labelled target images for the report; classes that the network does
            not know are ignored. None: no evaluation.
        checkpoint: `.safetensors` file to go on from; with several seeds, one each.
        resume: go on from the checkpoint where there is one.
        checkpoint_every: steps between two writings.
        validator: which step is returned. "last"; or "information", the one whose
            predictions on the target hold most mutual information between pixel and
            class, which is 0 for a collapsed network.
        validate_every: steps between two looks of the validator.
        progress: show a bar on standard error.
        on_step: called after each step with its number, from 1, and its loss.

    Returns:
        The networks, one a seed, with their course and, on `test`, their evaluation.

    Raises:
        DivergedError: the loss is no longer finite; it holds the last good network,
            and the checkpoint its state.
        DataError: a checkpoint that is damaged or belongs to another run.
        ValueError: settings or data that do not fit.
    """
    chosen = get_method(method) if isinstance(method, str) else method
    _check(seeds, checkpoint, resume, validator, checkpoint_every, validate_every)
    data = _data(source, source_data, target, chosen)
    tested = None if test is None else known_part(test, source.card.class_names)
    before = look(source.model, source.card, target)
    works = [
        Work(
            source=source,
            data=data,
            name=method if isinstance(method, str) else type(method).__name__,
            method=chosen,
            recipe=dataclasses.replace(recipe, seed=seed),
            rule=rule,
            checkpoint=_file(checkpoint, seed, alone=len(seeds) == 1),
            checkpoint_every=checkpoint_every,
            resume=resume,
            validator=validator,
            validate_every=validate_every,
            progress=progress,
            on_step=on_step,
        )
        for seed in seeds
    ]
    return AdaptResult(
        method=works[0].name,
        runs=tuple(adapt_seed(work, before, tested) for work in works),
        before=None if tested is None else evaluate(source.model, source.card, tested),
        left_out=tuple(
            name
            for name in (() if test is None else test.class_names)
            if name not in source.card.class_names
        ),
    )


def _data(
    source: TrainedModel, source_data: Dataset, target: Dataset, method: Method
) -> tuple[Dataset, Dataset]:
    """Check the data of both domains; return them as the network takes them."""
    for name, dataset in (("source_data", source_data), ("target", target)):
        if not len(dataset):
            raise ValueError(f"{name}: {dataset.name} has no images")
    source_data = align(source_data, source.card.class_names)
    check_fit(source.model, source.card, source_data)
    shapes = source_data[0]["image"].shape, target[0]["image"].shape
    if shapes[0][-1] != shapes[1][-1]:
        raise ValueError(
            f"target: images of {shapes[1][-1]} channels, the source has "
            f"{shapes[0][-1]}"
        )
    if method.batch_norm == "joint":
        check_sizes(*shapes)
    return source_data, target


def _file(path: str | Path | None, seed: int, *, alone: bool) -> Path | None:
    if path is None or alone:
        return None if path is None else Path(path)
    path = Path(path)
    return path.with_name(f"{path.stem}-seed{seed}{path.suffix}")


def _check(
    seeds: Sequence[int],
    checkpoint: str | Path | None,
    resume: bool,
    validator: str,
    checkpoint_every: int,
    validate_every: int,
) -> None:
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds: {list(seeds)}; name at least one, and none twice")
    for seed in seeds:
        as_seed("seeds", seed)
    if checkpoint is not None:
        check_suffix(checkpoint)
    if resume and checkpoint is None:
        raise ValueError("resume: needs checkpoint, the file to go on from")
    if validator not in get_args(Validator):
        raise ValueError(
            f"unknown validator {validator!r}; available: "
            f"{', '.join(get_args(Validator))}"
        )
    for name, value in (
        ("checkpoint_every", checkpoint_every),
        ("validate_every", validate_every),
    ):
        as_count(name, value)

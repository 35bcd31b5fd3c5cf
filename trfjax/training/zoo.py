"""The recipe table: reduced widths and settings with which every network trains.

Each entry trains on a made-up city within minutes on two CPU cores.
`scripts/train_zoo.py` measures the mIoU; numbers are in `docs/networks/training.md`.
They are starting points for small data, not the settings of the papers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from trfjax.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class ZooRecipe:
    """A small network of one architecture and how to train it."""

    architecture: str  # the name given to `create_model`
    config: Mapping[str, Any]  # arguments of `create_model` but the number of classes
    recipe: Recipe
    size: tuple[int, int] = (64, 128)  # height, width of the images


# A residual network from random weights wants a lower rate than a plain one with norms;
# one without norms a far lower one. Auxiliary logits weigh as in the published losses.
RECIPES: dict[str, ZooRecipe] = {
    "bisenet": ZooRecipe(
        "bisenet",
        {"width": 16},
        Recipe(steps=300, learning_rate=1e-2, aux_weight=1.0),
    ),
    "bisenet_official": ZooRecipe(
        "bisenet_official",
        {"width": 16},
        Recipe(steps=300, learning_rate=1e-2, aux_weight=1.0),
    ),
    "deeplabv2": ZooRecipe(
        "deeplabv2",
        {"width": 8},
        Recipe(steps=250, learning_rate=5e-3),
    ),
    "deeplabv2-proda": ZooRecipe(
        "deeplabv2",
        {"width": 8, "variant": "proda"},
        Recipe(steps=200, learning_rate=5e-3),
    ),
    "fcn8s": ZooRecipe(
        "fcn8s",
        {"width": 8},
        Recipe(steps=250, batch_size=4, learning_rate=1e-3),
    ),
    "frrn_a": ZooRecipe(
        "frrn_a",
        {"width": 6},
        Recipe(steps=200, learning_rate=1e-2),
    ),
    "frrn_b": ZooRecipe(
        "frrn_b",
        {"width": 6},
        Recipe(steps=200, learning_rate=1e-2),
    ),
    "pspnet": ZooRecipe(
        "pspnet",
        {"width": 8, "depth": 50},
        Recipe(steps=250, learning_rate=5e-3, aux_weight=0.4),
    ),
    "segnet": ZooRecipe(
        "segnet",
        {"width": 12},
        Recipe(steps=250, learning_rate=2e-2),
    ),
    "unet": ZooRecipe(
        "unet",
        {"width": 8},
        Recipe(steps=250, learning_rate=2e-2),
    ),
    "unet-bilinear": ZooRecipe(
        "unet",
        {"width": 8, "variant": "bilinear"},
        Recipe(steps=250, learning_rate=2e-2),
    ),
    "unet-paper": ZooRecipe(
        "unet",
        {"width": 8, "variant": "paper"},
        Recipe(steps=400, batch_size=4, learning_rate=1e-3),
        size=(220, 284),  # no padding: only the central 36 x 100 pixels get logits
    ),
    "unet-semseg": ZooRecipe(
        "unet",
        {"width": 8, "variant": "semseg", "padding": 1},
        Recipe(steps=250, learning_rate=1e-2),
    ),
}


def recipe_for(name: str) -> ZooRecipe:
    """Return an entry of the table.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in RECIPES:
        raise ValueError(f"no recipe {name!r}; available: {', '.join(RECIPES)}")
    return RECIPES[name]

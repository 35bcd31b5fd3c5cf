"""The contract of an adaptation method, and the step made from one.

A method is a frozen dataclass of settings with rules that are functions of values. The
one step of the library, `training.step`, composes them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from trfjax.adaptation.domains import Policy
from trfjax.adaptation.look import Glance
from trfjax.state import ModelCard, SourceModel, apply
from trfjax.training.augment import Augment
from trfjax.training.recipe import Recipe, optimiser
from trfjax.training.step import Outcome, Rule, Seen, State, Update, begin
from trfjax.training.supervised import Batch, LossWeights

NETWORK = "network"  # its parameters among those that the rule moves


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Pair:
    """The images of one step. The labels of the target are all ignored, or pseudo."""

    source: Batch
    target: Batch


@dataclasses.dataclass(frozen=True)
class Setting:
    """The static settings that the rules of a method may know."""

    graphdef: nnx.GraphDef[Any]  # of the network
    parts: tuple[tuple[str, nnx.GraphDef[Any]], ...]  # of heads and discriminators
    augment: Augment
    steps: int
    weights: LossWeights  # of the source's loss

    def network(self, params: PyTree, stats: PyTree) -> SourceModel:
        """Return the network of a step."""
        return SourceModel(params[NETWORK], stats, self.graphdef)

    def judge(self, name: str, params: PyTree, x: Float[Array, "b h w c"]) -> Array:
        """Return the logits of a head or discriminator."""
        return apply(SourceModel(params[name], {}, dict(self.parts)[name]), x).logits


@dataclasses.dataclass(frozen=True, eq=False)
class Begun:
    """The additions of a method to the network before the first step."""

    heads: Mapping[str, SourceModel] = dataclasses.field(default_factory=dict)
    discriminators: Mapping[str, SourceModel] = dataclasses.field(default_factory=dict)
    memory: PyTree = ()  # a teacher, prototypes, counters, in fixed shapes


# What a round reads: what the network makes of the whole target, batch by batch.
Looks = Callable[[], Iterator[Glance]]


@dataclasses.dataclass(frozen=True)
class Method:
    """Base of the methods: settings as fields, and rules to replace.

    Only `loss` must be given. A rule that is left out costs nothing.
    """

    batch_norm: Policy = "sequential"

    def init(
        self, model: SourceModel, card: ModelCard, image: tuple[int, ...], *, key: Any
    ) -> Begun:
        """Return heads, discriminators and memory.

        Args:
            model: the network to adapt.
            card: its classes.
            image: shape of one image.
            key: of fresh weights.
        """
        return Begun()

    def targets(
        self, setting: Setting, state: State, batch: Pair, key: PRNGKeyArray
    ) -> tuple[Pair, PyTree]:
        """Return the batch with its targets, and the memory; never differentiated."""
        return batch, state.memory

    def loss(
        self,
        setting: Setting,
        params: PyTree,
        state: State,
        batch: Pair,
        key: PRNGKeyArray,
    ) -> tuple[Array, Outcome]:
        """Return the loss of the network and of its heads."""
        raise NotImplementedError

    def discriminator_loss(
        self,
        setting: Setting,
        discriminator: PyTree,
        state: State,
        batch: Pair,
        shown: PyTree,
        key: PRNGKeyArray,
    ) -> tuple[Array, Seen]:
        """Return the loss of the discriminators on what the loss has shown."""
        raise NotImplementedError

    def after(self, setting: Setting, state: State, batch: Pair) -> PyTree:
        """Return the memory after the updates."""
        return state.memory

    def round(self, number: int, state: State, looks: Looks) -> PyTree:
        """Return the memory at the start of a round; on the host."""
        return state.memory

    def label(self, setting: Setting, state: State, target: Batch) -> Array:
        """Return pseudo labels of images as stored; for methods that give any."""
        raise NotImplementedError

    @property
    def rounds(self) -> int:
        """How often `round` is called, at even distances from the first step on."""
        return 0

    def discriminator_rule(self, recipe: Recipe) -> Rule | None:
        """Return what moves the discriminators; None where there are none."""
        return None


@dataclasses.dataclass(frozen=True)
class Bound:
    """A rule of a method with the setting it is used in; equal ones compile once."""

    method: Method
    setting: Setting
    name: str

    def __call__(self, *values: Any) -> Any:
        """Apply the rule."""
        return getattr(self.method, self.name)(self.setting, *values)


def compose(
    method: Method,
    model: SourceModel,
    card: ModelCard,
    image: tuple[int, ...],
    recipe: Recipe,
    *,
    rule: Rule | None = None,
) -> tuple[Update, State]:
    """Return the step of a method, and the state before the first one.

    Args:
        method: whose rules are composed.
        model: the network to adapt.
        card: its classes.
        image: shape of one image.
        recipe: of the network: steps, rate, augmentation, and the seed of heads.
        rule: what moves the network and its heads; that of the recipe by default.
    """
    key = jax.random.fold_in(jax.random.key(recipe.seed), 2)
    begun = method.init(model, card, image, key=key)
    parts = {**begun.heads, **begun.discriminators}
    setting = Setting(
        graphdef=model.graphdef,
        parts=tuple((name, part.graphdef) for name, part in sorted(parts.items())),
        augment=recipe.augment,
        steps=recipe.steps,
        weights=LossWeights.of(recipe),
    )

    heads = {name: part.params for name, part in begun.heads.items()}
    judges = {name: part.params for name, part in begun.discriminators.items()}

    def bound(name: str) -> Bound | None:
        given = getattr(type(method), name) is not getattr(Method, name)
        return Bound(method, setting, name) if given else None

    update = Update(
        loss=Bound(method, setting, "loss"),
        rule=rule or optimiser(recipe),
        targets=bound("targets"),
        discriminator_loss=bound("discriminator_loss") if judges else None,
        discriminator_rule=method.discriminator_rule(recipe) if judges else None,
        after=bound("after"),
    )
    state = begin(
        {NETWORK: model.params, **heads},
        model.stats,
        update,
        memory=begun.memory,
        discriminator=judges or (),
    )
    return update, state

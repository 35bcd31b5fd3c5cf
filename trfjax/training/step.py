"""The one step of the library: gradients, updates, and a check that all is finite.

Training, fine-tuning, guiding, episodes and adaptation are this step with other
functions in its `Update`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from trfjax.state import Output, SourceModel, apply, apply_train
from trfjax.training.recipe import BatchNorm

Seen = dict[str, Array]  # by name; scalars

# Numbers that no step reaches: what draws beside the loss draws from these streams, so
# that a method with a teacher or a discriminator changes no draw of its loss.
TARGETS, DISCRIMINATOR = 2**32 - 1, 2**32 - 2


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """Everything that a step changes; arrays only, so one tree for a checkpoint."""

    params: Any  # what the rule moves
    stats: Any  # of batch norm
    opt_state: Any
    step: Any  # steps done; int32
    memory: Any = ()  # of the method: a teacher, prototypes, counters
    discriminator: Any = ()  # what the second rule moves
    discriminator_opt_state: Any = ()


class Outcome(NamedTuple):
    """The second result of a loss, beside its value."""

    stats: Any  # of batch norm, after the passes of the loss
    memory: Any
    seen: Seen  # worth a record; never differentiated
    shown: Any = ()  # predictions that the discriminator judges


@runtime_checkable
class Rule(Protocol):
    """A rule that turns gradients into updates: any transformation of Optax is one."""

    def init(self, params: PyTree, /) -> PyTree:
        """Return the state before the first step."""
        ...

    def update(
        self, gradient: PyTree, state: PyTree, params: PyTree, /
    ) -> tuple[PyTree, PyTree]:
        """Return what is added to the parameters, and the new state."""
        ...


# (params, state, batch, key): the state holds everything but the parameters, which are
# differentiated; those in the state, and the discriminator, are constants.
Loss = Callable[[PyTree, State, Any, PRNGKeyArray], tuple[Array, Outcome]]
# (state, batch, key) -> the batch with its targets, and the memory.
Targets = Callable[[State, Any, PRNGKeyArray], tuple[Any, Any]]
# (discriminator, state, batch, shown, key) -> the loss, and what is to be seen.
DiscriminatorLoss = Callable[
    [PyTree, State, Any, Any, PRNGKeyArray], tuple[Array, Seen]
]
# (state, batch) -> the memory, after the updates.
After = Callable[[State, Any], Any]


@dataclasses.dataclass(frozen=True)
class Update:
    """The static settings of one step, compiled in.

    Two that are equal share a compilation. So a loss with settings is a frozen
    dataclass with `__call__`, the rule is a value such as `AdamW`, and neither holds a
    seed: keys are passed.
    """

    loss: Loss
    rule: Rule
    targets: Targets | None = None
    discriminator_loss: DiscriminatorLoss | None = None
    discriminator_rule: Rule | None = None
    after: After | None = None

    def __post_init__(self) -> None:
        if (self.discriminator_loss is None) != (self.discriminator_rule is None):
            raise ValueError(
                "discriminator_loss, discriminator_rule: one is given and the other "
                "is not; a discriminator needs both"
            )


def begin(
    params: PyTree,
    stats: PyTree,
    update: Update,
    *,
    memory: PyTree = (),
    discriminator: PyTree = (),
) -> State:
    """Return the state before the first step.

    Args:
        params: what the rule moves; a tree of any structure that the loss knows.
        stats: of batch norm.
        update: whose rules prepare their state.
        memory: of the method, in fixed shapes.
        discriminator: parameters that the second rule moves.
    """
    second = update.discriminator_rule
    return State(
        params=params,
        stats=stats,
        opt_state=_prepared(params, rule=update.rule),
        step=jnp.zeros((), jnp.int32),
        memory=memory,
        discriminator=discriminator,
        discriminator_opt_state=(
            () if second is None else _prepared(discriminator, rule=second)
        ),
    )


@jax.jit(static_argnames=("update",))
def step(
    state: State, batch: Any, key: PRNGKeyArray, *, update: Update
) -> tuple[State, Seen, Bool[Array, ""]]:
    """Do one step; pure, for `jit`, `scan` and `vmap`.

    In this order: targets, without gradient; the gradient of the loss; that of the
    discriminator, as it was before the step, on what the loss has shown, without
    gradient to the network; both updates; the memory after them. Clipping is part of
    the rule.

    Args:
        state: what the step changes.
        batch: whatever the functions of the update take; arrays.
        key: of the run; folded with the number of the step.
        update: what is done (static).

    Returns:
        The new state; what is to be seen, with "loss" and "gradient_norm"; and whether
        losses and gradients are finite. Where they are not, the state is the old one.
    """
    begun = state
    if update.targets is not None:
        drawn = _stream(key, TARGETS, state)
        batch, memory = update.targets(state, batch, drawn)
        state = dataclasses.replace(state, memory=memory)
    (value, outcome), gradient = jax.value_and_grad(update.loss, has_aux=True)(
        state.params, state, batch, jax.random.fold_in(key, state.step)
    )
    norm = _norm(gradient)
    fine = jnp.isfinite(value) & jnp.isfinite(norm)
    seen = {"loss": value, "gradient_norm": norm, **outcome.seen}
    params, opt_state = _moved(update.rule, gradient, state.opt_state, state.params)
    changed = {"params": params, "opt_state": opt_state, "stats": outcome.stats}
    if update.discriminator_loss is not None:
        drawn = _stream(key, DISCRIMINATOR, state)
        second, found, good = _judged(state, batch, outcome.shown, drawn, update)
        changed, seen, fine = changed | second, seen | found, fine & good
    after = dataclasses.replace(
        state, **changed, memory=outcome.memory, step=state.step + 1
    )
    if update.after is not None:
        after = dataclasses.replace(after, memory=update.after(after, batch))
    return choose(fine, after, begun), seen, fine


def forward(
    model: SourceModel,
    images: Float[Array, "b h w c"],
    *,
    batch_norm: BatchNorm,
    aux: bool = False,
    key: PRNGKeyArray,
) -> tuple[Output, PyTree]:
    """Run a network in training under a policy of batch norm.

    Args:
        model: the network.
        images: normalised.
        batch_norm: "adapt": normalise by the batch and move the statistics; "frozen":
            by the statistics, which stay, and dropout is off.
        aux: whether to return auxiliary logits.
        key: of dropout.

    Returns:
        The output, and the statistics after the pass.
    """
    if batch_norm == "frozen":
        return apply(model, images, aux=aux), model.stats
    return apply_train(model, images, aux=aux, key=key)


def choose(condition: Bool[Array, ""], if_true: PyTree, if_false: PyTree) -> PyTree:
    """Return one of two trees of the same structure, leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), if_true, if_false)


def _judged(
    state: State, batch: Any, shown: Any, key: PRNGKeyArray, update: Update
) -> tuple[dict[str, Any], Seen, Bool[Array, ""]]:
    """Return the discriminator after its update, what was seen, whether it is finite.

    `shown` comes out of `value_and_grad` as a value: nothing leads back to the network.
    """
    rule = update.discriminator_rule
    assert update.discriminator_loss is not None and rule is not None  # given together
    slope = jax.value_and_grad(update.discriminator_loss, has_aux=True)
    (value, seen), gradient = slope(state.discriminator, state, batch, shown, key)
    opt_state = state.discriminator_opt_state
    params, opt_state = _moved(rule, gradient, opt_state, state.discriminator)
    fine = jnp.isfinite(value) & jnp.isfinite(_norm(gradient))
    changed = {"discriminator": params, "discriminator_opt_state": opt_state}
    return changed, {"discriminator_loss": value, **seen}, fine


def _moved(
    rule: Rule, gradient: PyTree, opt_state: PyTree, params: PyTree
) -> tuple[PyTree, PyTree]:
    updates, opt_state = rule.update(gradient, opt_state, params)
    return jax.tree.map(jnp.add, params, updates), opt_state


def _stream(key: PRNGKeyArray, number: int, state: State) -> PRNGKeyArray:
    return jax.random.fold_in(jax.random.fold_in(key, number), state.step)


def _norm(tree: PyTree) -> Float[Array, ""]:
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)))


@jax.jit(static_argnames=("rule",))
def _prepared(params: PyTree, *, rule: Rule) -> PyTree:
    return rule.init(params)

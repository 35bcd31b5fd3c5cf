"""One interface to networks of every kind: images in, feature maps out."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array

from trfjax.features.levels import level_name
from trfjax.features.preprocessing import Preprocessing
from trfjax.features.torch_modules import is_torch, torch_digest, torch_runner
from trfjax.files import digest as digest_of
from trfjax.state import Output, SourceModel, TrainedModel, freeze, thaw
from trfjax.typing import FEATURE_SPACES, AnyArray

Maps = dict[str, AnyArray]  # space -> (b, h, w, d)


@dataclasses.dataclass(frozen=True, eq=False)
class Predictor:
    """A network as `extract` uses it."""

    name: str
    digest: str  # of the weights; empty where they cannot be known
    class_names: tuple[str, ...]  # of the head; empty where they are not known
    preprocessing: Preprocessing
    run: Callable[[np.ndarray, tuple[str, ...]], Any]  # prepared images, spaces

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Height and width the network wants; None: as the images are."""
        return self.preprocessing.size

    def prepare(self, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Prepare uint8 images, `(b, h, w, c)` float32.

        Raises:
            ValueError: images that do not fit the network or one another.
        """
        ready = [self.preprocessing(image) for image in images]
        shapes = {image.shape for image in ready}
        if len(shapes) != 1:
            raise ValueError(
                f"images: sizes differ ({sorted(shapes)}). Load the data set with "
                "size=(height, width), or give the network an input size."
            )
        return np.stack(ready)

    def maps(self, images: np.ndarray, spaces: Sequence[str]) -> Maps:
        """Run the network on prepared images.

        Args:
            images: `(b, h, w, c)` float32, of `prepare`.
            spaces: the feature spaces wanted.

        Returns:
            Maps `(b, h', w', d)` of what is needed for them, always with `"logits"`
            or `"probs"`; `h' = w' = 1` for vectors.

        Raises:
            ValueError: a space the network does not give, or output that is no map.
        """
        given = _named(self.run(images, tuple(spaces)))
        head = [name for name in ("logits", "probs") if name in given]
        missing = [s for s in spaces if s not in given and not (s == "probs" and head)]
        if missing or not head:
            raise ValueError(
                f"{self.name}: gives no {missing[0] if missing else 'logits'!r}, only "
                f"{', '.join(given) or 'nothing'}. A callable returns logits or a dict "
                "of logits, probs, penultimate; for a torch module name the "
                "penultimate layer with layer=."
            )
        wanted = {head[0], *(s for s in spaces if s in given)}
        levels = given.pop("levels", None)
        found = {n: self._map(n, given[n], images) for n in sorted(wanted - {"levels"})}
        if "levels" in wanted:
            found |= self._levels(levels, images)
        width = found[head[0]].shape[-1]
        if self.class_names and len(self.class_names) != width:
            raise ValueError(
                f"{self.name}: {width} outputs for {len(self.class_names)} class names"
            )
        return found

    def _levels(self, levels: Any, images: np.ndarray) -> Maps:
        """Return the map of every level, in the order of their names."""
        if not isinstance(levels, Mapping):
            levels = dict(
                enumerate(levels if isinstance(levels, list | tuple) else [levels])
            )
        if not levels:
            raise ValueError(f"{self.name}: declares no level_taps, so has no levels")
        # By name: a compiled function returns its names sorted.
        order = enumerate(sorted(levels))
        return {
            level_name(place, name): self._map(str(name), levels[name], images)
            for place, name in order
        }

    def _map(self, name: str, value: Any, images: np.ndarray) -> AnyArray:
        array = value if isinstance(value, jax.Array) else np.asarray(value)
        if array.ndim not in (2, 4) or len(array) != len(images):
            raise ValueError(
                f"{self.name}: {name} of shape {array.shape} for {len(images)} images; "
                "expected (b, h, w, d) maps or (b, d) vectors, channels last"
            )
        return array if array.ndim == 4 else array[:, None, None, :]


def as_predictor(
    model: Any,
    *,
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    digest: str | None = None,
    layer: str | None = None,
) -> Predictor:
    """Return the one interface to a network of any kind.

    Args:
        model: a `TrainedModel`; a `SourceModel` or an `nnx.Module` (run in evaluation
            mode, jitted, one compilation for all of one architecture); a
            `torch.nn.Module` (`torch` extra); any callable from `(b, h, w, c)` float32
            images to logits or to a dict of `logits`, `probs`, `penultimate`, as
            `(b, h, w, d)` maps or `(b, d)` vectors, and `levels`, a dict or a list of
            those; a `Predictor`, with nothing else.
        name: what reports call it.
        class_names: of its head; numbers by default.
        preprocessing: of the images; `image / 255` by default, or the card's.
        digest: identity of the weights, for caches; needed only for a plain callable.
        layer: the torch module whose output is the penultimate features.

    Returns:
        A network that takes uint8 images, with its classes and its identity.

    Raises:
        TypeError: something that is no network.
        ValueError: a layer that does not exist.
        ImportError: a torch module without torch.
    """
    if isinstance(model, Predictor):
        return model
    if layer is not None and not is_torch(model):
        raise ValueError("layer: only torch modules have named layers here")
    structure: list[Any] = []
    if isinstance(model, TrainedModel):
        card = model.card
        name, class_names = name or card.name, class_names or card.class_names
        preprocessing = preprocessing or Preprocessing(
            card.input_size, card.mean, card.std
        )
        structure = [card.architecture, card.config]
        model = model.model
    elif isinstance(model, nnx.Module):
        structure = [type(model).__module__, type(model).__qualname__]
        name, model = name or type(model).__name__, freeze(model)
    if isinstance(model, SourceModel):
        run, known = _flax_runner(model), digest_of(structure, weights_digest(model))
    elif is_torch(model):
        run, known = torch_runner(model, layer), torch_digest(model)
    elif callable(model):
        run, known = (lambda images, spaces: model(images)), ""
    else:
        raise TypeError(
            f"model: a {type(model).__name__} is no network; expected a TrainedModel, "
            "an nnx.Module, a torch.nn.Module or a callable"
        )
    return Predictor(
        name or getattr(model, "__name__", type(model).__name__),
        known if digest is None else digest,
        tuple(class_names or ()),
        preprocessing or Preprocessing(),
        run,
    )


def weights_digest(model: SourceModel) -> str:
    """Return a hash of the weights and the statistics, with their names."""
    parts: list[Any] = []
    for path, leaf in jax.tree_util.tree_leaves_with_path((model.params, model.stats)):
        if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(
            leaf.dtype, jax.dtypes.prng_key
        ):
            leaf = jax.random.key_data(leaf)
        parts += [jax.tree_util.keystr(path), np.asarray(leaf)]
    return digest_of(*parts)


def _named(output: Any) -> dict[str, Any]:
    """Return the spaces that the output of a network holds."""
    if isinstance(output, Output):
        found = {"logits": output.logits, "penultimate": output.features}
        return found | ({"levels": output.levels} if output.levels else {})
    if isinstance(output, Mapping):
        return {name: output[name] for name in FEATURE_SPACES if name in output}
    return {"logits": output}


def _flax_runner(model: SourceModel) -> Callable[..., dict[str, Any]]:
    def run(images: np.ndarray, spaces: tuple[str, ...]) -> dict[str, Any]:
        taps: tuple[str, ...] = ()
        if "levels" in spaces:
            taps = tuple(getattr(thaw(model), "level_taps", ()))
        maps = _run(model, images, taps=taps)
        size = maps["logits"].shape[1:-1] if "logits" in maps else ()
        # A network without padding labels the centre only; there is no map elsewhere.
        if size and size != images.shape[1:3] and getattr(thaw(model), "valid", False):
            raise ValueError(
                f"model: without padding it labels only the central {size} of "
                f"{images.shape[1:3]} pixels; build it with padding, or with "
                "resize_logits=True"
            )
        return maps

    return run


@functools.partial(jax.jit, static_argnames=("taps",))
def _run(model: SourceModel, images: Array, *, taps: tuple[str, ...]) -> dict[str, Any]:
    # Whether or not penultimate features are asked for: one program for both sides.
    net = thaw(model)
    return _named(net(images, taps=taps) if taps else net(images))

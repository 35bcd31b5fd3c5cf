"""Weights of other code bases, loaded with nothing dropped in silence."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trfjax.errors import DataError, missing_extra
from trfjax.files import read_arrays
from trfjax.models.naming import Naming
from trfjax.models.wrapped import check_packed, find_tensors, prefixes, unwrapped
from trfjax.numbers import of_tensor
from trfjax.reading import regular_size
from trfjax.state import SourceModel, thaw
from trfjax.trees import flatten, unflatten

TORCH_FILES = (".pth", ".pt", ".bin", ".tar", ".ckpt", ".pkl")


@dataclasses.dataclass(frozen=True)
class ImportReport:
    """The fate of every tensor of a checkpoint, and of every array of the network."""

    naming: str
    loaded: tuple[str, ...]  # stored names
    skipped: tuple[str, ...]  # stored, known to be without effect
    missing: tuple[str, ...]  # expected by this network, not stored
    unexpected: tuple[str, ...]  # stored, unknown to this network
    misshaped: tuple[str, ...]  # stored in another shape, with both shapes
    kept: tuple[str, ...]  # arrays here that such checkpoints do not hold

    @property
    def complete(self) -> bool:
        """Whether every stored tensor found its place and none was lacking."""
        return not (self.missing or self.unexpected or self.misshaped)

    def __str__(self) -> str:
        """List counts, and the first names of what did not fit."""
        lines = [f"naming {self.naming}: {len(self.loaded)} tensors loaded"]
        for field in ("skipped", "missing", "unexpected", "misshaped", "kept"):
            names = getattr(self, field)
            if names:
                more = ", ..." if len(names) > 4 else ""
                lines.append(f"{len(names)} {field}: {', '.join(names[:4])}{more}")
        return "; ".join(lines)


def read_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Read named arrays from `.safetensors`, `.npz`, or a torch checkpoint.

    Torch checkpoints are pickles; they are read with `weights_only=True`, which needs
    the torch extra, and only tensors come out.
    """
    path = Path(path)
    regular_size(path)
    if path.suffix in (".safetensors", ".npz"):
        return read_arrays(path)[0]
    if path.suffix not in TORCH_FILES:
        known = ", ".join((".safetensors", ".npz", *TORCH_FILES))
        raise DataError(path, f"unknown kind of checkpoint; readable are {known}")
    return _read_torch(path)


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise missing_extra(f"reading {path.name}", "torch") from error
    check_packed(path)
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever a damaged pickle leads to
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            path,
            f"damaged, or holds more than tensors, which is not loaded ({first}). "
            "Where you trust it, save its state dict as .safetensors.",
        ) from error
    tensors = find_tensors(path, stored, torch.Tensor)
    return {str(name): _array(tensor) for name, tensor in tensors.items()}


def from_torch_state_dict(
    model: SourceModel,
    mapping: Mapping[str, Any],
    *,
    naming: str | Naming | None = None,
    strict: bool = True,
) -> tuple[SourceModel, ImportReport]:
    """Load the weights of a PyTorch network.

    Args:
        model: the network to fill.
        mapping: stored names to arrays or tensors, as of `read_state_dict`.
        naming: a naming the network knows, or your own; the one that fits most
            names by default.
        strict: raise when a tensor is missing, unexpected or of another shape.
            Otherwise what fits is loaded and the report lists the rest.

    Returns:
        The filled network and the report.
    """
    mapping = {unwrapped(str(name)): value for name, value in mapping.items()}
    label, table, prefix = _choose(model, mapping, naming)
    stored = {name.removeprefix(prefix): value for name, value in mapping.items()}
    skipped = [n for n in stored if n.endswith("num_batches_tracked")]
    skipped += [n for n in stored if table.is_dead(n)]
    parts = {"params": model.params, "stats": model.stats}
    leaves, net = flatten(parts), thaw(model)
    loaded, missing, misshaped, kept = [], [], [], []
    for path, leaf in leaves.items():
        inner = path.split("/", 1)[1]
        name = table.name(inner)
        if name is None or (name not in stored and table.is_optional(name)):
            kept.append(inner)
        elif name not in stored:
            missing.append(name)
        else:
            value = _convert(inner, _array(stored[name]), table, net, leaf.ndim)
            if value is None or value.shape != leaf.shape:
                shapes = f"{np.shape(stored[name])}, expected for {leaf.shape} here"
                misshaped.append(f"{name} {shapes}")
            else:
                leaves[path] = value
            loaded.append(name)
    unexpected = sorted(set(stored) - set(loaded) - set(skipped))
    wrong = {item.split(" ")[0] for item in misshaped}
    report = ImportReport(
        naming=label,
        loaded=tuple(name for name in loaded if name not in wrong),
        skipped=tuple(skipped),
        missing=tuple(missing),
        unexpected=tuple(unexpected),
        misshaped=tuple(misshaped),
        kept=tuple(kept),
    )
    if strict and not report.complete:
        raise ValueError(
            f"the checkpoint does not fit this network: {report}. Check num_classes "
            f"and the variant, or choose a naming ({', '.join(_namings(net))}); "
            "strict=False loads what fits."
        )
    parts = unflatten(parts, leaves)
    return SourceModel(parts["params"], parts["stats"], model.graphdef), report


def _namings(net: Any) -> Mapping[str, Naming]:
    return getattr(net, "namings", {})


def _choose(
    model: SourceModel, mapping: Mapping[str, Any], naming: str | Naming | None
) -> tuple[str, Naming, str]:
    """Return the naming asked for, or the one that shares most names, and a prefix.

    The prefix is what stands before every name of the network, such as `model.`.
    """
    known = _namings(thaw(model))
    if isinstance(naming, Naming):
        known = {"custom": naming}
    elif naming is not None:
        if naming not in known:
            raise ValueError(
                f"unknown naming {naming!r}; this network knows: {', '.join(known)}"
            )
        known = {naming: known[naming]}
    paths = list(flatten(model.params))
    hits = {
        (label, prefix): count
        for label, table in known.items()
        for prefix, count in prefixes([table.name(path) for path in paths], mapping)
    }
    most = max(hits.values(), default=0)
    if most == 0 and naming is None:
        first = ", ".join(sorted(mapping)[:3])
        raise ValueError(
            f"no tensor of this checkpoint ({first}, ...) is named as in "
            f"{', '.join(known) or 'any naming of this network'}: it is of another "
            "architecture, or needs its own naming"
        )
    best = [key for key, count in hits.items() if count == most] or [
        (next(iter(known)), "")
    ]
    label = best[0][0]
    wrapped = sorted({prefix for name, prefix in best if name == label})
    if len(wrapped) > 1:
        raise ValueError(
            f"the checkpoint holds this network several times, under {wrapped}: keep "
            "the names of one of them"
        )
    return label, known[label], wrapped[0]


def _array(value: Any) -> np.ndarray:
    """Return a NumPy array of an array or a tensor."""
    if hasattr(value, "detach"):
        value = of_tensor(value.detach().cpu())
    value = np.asarray(value)
    whole = value.dtype.kind in "biu"
    return value if whole or value.dtype == np.float64 else value.astype(np.float32)


def _convert(
    path: str, value: np.ndarray, table: Naming, net: Any, ndim: int
) -> np.ndarray | None:
    """Bring a stored array to the layout here; None where that cannot be."""
    fix = table.fixes.get(path)
    try:
        value = fix(net, value) if fix else value
    except ValueError:
        return None
    if value.ndim == 4 and ndim == 4:
        # torch (out, in, h, w), or (in, out, h, w) where transposed.
        return value.transpose(2, 3, 1, 0)
    if value.ndim == 2 and ndim == 2:
        return value.T
    return value

"""PyTorch modules as networks: NCHW inside, named layers by hook (`torch` extra)."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from trfjax.errors import missing_extra
from trfjax.files import digest as digest_of


def is_torch(model: Any) -> bool:
    """Say whether it is a torch module, without importing torch."""
    return any(
        base.__module__.split(".")[0] == "torch" and base.__name__ == "Module"
        for base in type(model).__mro__
    )


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise missing_extra("a torch module", "torch") from error
    return torch


def torch_runner(
    net: Any, layer: str | None
) -> Callable[[np.ndarray, tuple[str, ...]], dict[str, np.ndarray]]:
    """Return the function from prepared images and spaces to maps.

    Raises:
        ValueError: a layer that does not exist; the message lists near names.
        ImportError: torch is not there.
    """
    torch = _torch()
    layers = dict(net.named_modules())
    if layer is not None and layer not in layers:
        matches = difflib.get_close_matches(layer, layers, n=5, cutoff=0.4)
        raise ValueError(
            f"layer: the model has no {layer!r}; near: "
            f"{', '.join(matches or [name for name in layers if name][:10])}"
        )
    first = next(iter(net.parameters()), torch.zeros(()))

    def run(images: np.ndarray, spaces: tuple[str, ...]) -> dict[str, np.ndarray]:
        seen: list[Any] = []
        # A copy: a network may change its input in place.
        x = torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        maps: dict[str, np.ndarray] = {}
        with contextlib.ExitStack() as stack:
            if layer is not None and "penultimate" in spaces:
                hook = layers[layer].register_forward_hook(
                    lambda module, args, output: seen.append(_kept(output))
                )
                stack.callback(hook.remove)
            stack.enter_context(_evaluating(net))
            stack.enter_context(torch.no_grad())
            maps["logits"] = _channels_last(net(x.to(first.device, first.dtype)))
        if seen:
            maps["penultimate"] = _channels_last(seen[-1])
        return maps

    return run


@contextlib.contextmanager
def _evaluating(net: Any) -> Iterator[None]:
    """Set evaluation mode, and back to what each part was in."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _kept(output: Any) -> Any:
    """Return the tensor of an output as it is now, whatever is done in place later."""
    return _tensor(output).detach().clone()


def _tensor(output: Any) -> Any:
    """Return the tensor in what a torch module gives."""
    if isinstance(output, Mapping):
        named = [output[name] for name in ("out", "logits") if name in output]
        output = named[0] if named else next(iter(output.values()))
    elif hasattr(output, "logits"):
        output = output.logits
    return output[0] if isinstance(output, list | tuple) else output


def _channels_last(output: Any) -> np.ndarray:
    """Return the tensor of a torch output as `(b, h, w, d)` or `(b, d)` float32."""
    array = _tensor(output).float().cpu().numpy()
    return np.moveaxis(array, 1, -1)


def torch_digest(net: Any) -> str:
    """Return a hash of the structure, the weights and the buffers."""
    parts: list[Any] = []
    for name, value in sorted(net.state_dict().items()):
        if hasattr(value, "detach"):
            parts += [name, value.detach().float().cpu().numpy()]
    return digest_of(type(net).__qualname__, str(net), *parts)

"""The options that every command takes."""

from __future__ import annotations

import logging
import os

DEVICES = {"cpu": "cpu", "gpu": "cuda", "tpu": "tpu"}  # by their names in JAX


def common(words: list[str]) -> tuple[list[str], bool]:
    """Heed the options that every command takes; return the others, and --quiet.

    Raises:
        ValueError: a device that is none.
    """
    if "--verbose" in words:
        logging.basicConfig(format="%(message)s")
        logging.getLogger("trfjax").setLevel(logging.INFO)
    if "--device" in words:
        at = words.index("--device")
        device = words[at + 1] if at + 1 < len(words) else ""
        if device not in DEVICES:
            raise ValueError(f"--device: {device!r} is none of {', '.join(DEVICES)}")
        os.environ["JAX_PLATFORMS"] = DEVICES[device]
        words = words[:at] + words[at + 2 :]
    rest = [word for word in words if word not in ("--quiet", "--verbose")]
    return rest, "--quiet" in words

"""Adaptation to a target without labels: one method a file, one line each."""

from __future__ import annotations

import dataclasses
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trfjax.adaptation.method import Method

# Name -> the module of the method, and the name of its settings there.
METHODS: dict[str, str] = {
    "source_only": "trfjax.adaptation.source_only:SOURCE_ONLY",
    "dann": "trfjax.adaptation.dann:DANN_PIXELS",
    "adaptsegnet": "trfjax.adaptation.adversarial:SINGLE",
    "adaptsegnet_multi": "trfjax.adaptation.adversarial:MULTI",
    "adaptsegnet_ls": "trfjax.adaptation.adversarial:LEAST_SQUARES",
    "fcd": "trfjax.adaptation.adversarial:FCD",
    "fcd_light": "trfjax.adaptation.adversarial:FCD_LIGHT",
    "ssl": "trfjax.adaptation.self_training:SSL",
    "ssl2": "trfjax.adaptation.self_training:SSL_2",
    "ssl3": "trfjax.adaptation.self_training:SSL_3",
    "ssl3_majority": "trfjax.adaptation.self_training:SSL_3_MAJORITY",
    "self_training": "trfjax.adaptation.self_training:PLAIN",
    "cbst": "trfjax.adaptation.balanced:CBST",
    "crst": "trfjax.adaptation.balanced:CRST",
    "dacs": "trfjax.adaptation.mixing:DACS",
    "proda": "trfjax.adaptation.denoised:PRODA",
}


def get_method(name: str, **options: Any) -> Method:
    """Return a method by name, with other settings where given.

    Raises:
        ValueError: an unknown name or setting; the known ones are listed.
    """
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; available: {', '.join(METHODS)}")
    module, _, value = METHODS[name].partition(":")
    method = getattr(importlib.import_module(module), value)
    known = [field.name for field in dataclasses.fields(method)]
    for option in options:
        if option not in known:
            raise ValueError(
                f"{name}: unknown setting {option!r}; available: {', '.join(known)}"
            )
    return dataclasses.replace(method, **options)

"""`trfjax data`."""

from __future__ import annotations

import json
import sys
from typing import Any

from trfjax.cli.runs import spec_of
from trfjax.data import contact_sheet, summarise
from trfjax.files import atomic_path, strict


def run(config: Any) -> int:
    """Summarise a data set and write a contact sheet."""
    dataset = spec_of(config, config.data).load()
    summary = summarise(dataset)
    if config.format == "json":
        print(json.dumps(strict(summary.to_dict())))
    else:
        print(summary.table())
    if config.sheet:
        sheet = contact_sheet(dataset, config.images)
        with atomic_path(config.sheet) as temporary:
            sheet.save(temporary)
        print(f"contact sheet: {config.sheet}", file=sys.stderr)
    return 0

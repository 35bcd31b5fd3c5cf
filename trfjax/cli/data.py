"""`trfjax data`."""

from __future__ import annotations

import json
import sys
from typing import Any

from trfjax.data import contact_sheet, summarise
from trfjax.data.kinds import kinds
from trfjax.files import atomic_path, strict
from trfjax.studies.outputs import check_file
from trfjax.studies.specs import spec_of


def run(config: Any) -> int:
    """Summarise a data set and write a contact sheet."""
    if config.kinds:
        for name, places in kinds():
            print(name, *(f"    {place}" for place in places), sep="\n")
        return 0
    sheet_path = None
    if config.sheet.lower() not in ("", "none"):
        sheet_path = check_file(config.sheet, "--sheet", ".png", ".jpg", ".jpeg")
    dataset = spec_of(config, config.data).load()
    summary = summarise(dataset)
    if config.format == "json":
        print(json.dumps(strict(summary.to_dict())))
    else:
        print(summary.table())
    if sheet_path is not None:
        sheet = contact_sheet(dataset, config.images)
        with atomic_path(sheet_path) as temporary:
            sheet.save(temporary)
        print(f"contact sheet: {sheet_path}", file=sys.stderr)
    return 0

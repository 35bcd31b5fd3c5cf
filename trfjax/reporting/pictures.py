"""Figures as pictures within a page."""

from __future__ import annotations

import base64
import io
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure


def picture(figure: Figure, alt: str) -> dict[str, Any]:
    """Return a figure as a data address.

    An image of its own, so that nothing in it runs and its ids meet no others.
    """
    file = io.BytesIO()
    # Fixed ids and no date: the same ranking gives the same bytes.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "trfjax"}):
        figure.savefig(
            file,
            format="svg",
            bbox_inches="tight",
            pad_inches=0.04,
            transparent=True,
            metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")),
        )
    data = base64.b64encode(file.getvalue()).decode()
    width = round(115 * figure.get_figwidth())
    return {"src": f"data:image/svg+xml;base64,{data}", "alt": alt, "width": width}

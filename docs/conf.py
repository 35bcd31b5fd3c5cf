"""Settings of the documentation: `make docs` builds it, offline, warnings as errors."""

from __future__ import annotations

import re
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert

import trfjax

project = "trfjax"
author = "the trfjax authors"
version = release = version_of("trfjax")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"trfjax {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"  # no script, no network
html_show_sourcelink = html_copy_source = html_show_copyright = False

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

default_role = "literal"  # docstrings write code in single backticks
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
maximum_signature_line_length = 60
napoleon_google_docstring, napoleon_numpy_docstring = True, False

# The rooms whose public names have a page, in the order of the site; `trfjax.NAME`.
ROOMS = {
    "ranking": "Ranking",
    "scores": "Scores",
    "data": "Data",
    "features": "Features",
    "atoms": "Compressed pixels",
    "transport": "Transport",
    "maps": "Maps",
    "training": "Training",
    "transfer": "Fine-tuning",
    "adaptation": "Domain adaptation",
    "episodes": "Few-shot episodes",
    "studies": "Studies",
    "reporting": "Plots and reports",
}
# What users import from modules, beside the names of `trfjax`.
MODULES = {
    "networks": (
        "Networks",
        ("trfjax.models", "trfjax.models.checkpoint", "trfjax.models.convert"),
    ),
    "values": (
        "Values",
        (
            "trfjax.state",
            "trfjax.training.recipe",
            "trfjax.scores.spec",
            "trfjax.scores.vocabulary",
        ),
    ),
}


def write_api(app: Any) -> None:
    """Write one page of the reference for every room, from the public names."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    pages = {room: _room(room, title) for room, title in ROOMS.items()}
    pages |= {name: _modules(*page) for name, page in MODULES.items()}
    pages = {name: text for name, text in pages.items() if text}
    toctree = "".join(f"   {name}\n" for name in pages)
    index = f"{_title('Reference')}.. toctree::\n   :maxdepth: 1\n\n{toctree}"
    for name, text in {**pages, "index": index}.items():
        path = folder / f"{name}.rst"
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def _room(room: str, title: str) -> str:
    names = [n for n, at in trfjax._PUBLIC.items() if at.split(".")[1] == room]
    parts = []
    for name in sorted(names, key=str.lower):
        kind = (
            "autoclass" if isinstance(getattr(trfjax, name), type) else "autofunction"
        )
        members = "   :members:\n" if kind == "autoclass" else ""
        parts.append(f".. {kind}:: trfjax.{name}\n{members}")
    return _title(title) + "\n".join(parts) if parts else ""


def _modules(title: str, names: tuple[str, ...]) -> str:
    parts = [
        f"{_title(name, '-')}.. automodule:: {name}\n   :members:\n" for name in names
    ]
    return _title(title) + "\n".join(parts)


def _title(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}\n\n"


def markdown_math(app: Any, what: str, name: str, obj: Any, options: Any, lines: Any):
    """Turn `$$...$$` and `$...$` of a docstring into what reStructuredText knows."""
    text = "\n".join(lines)
    text = re.sub(r"^( *)\$\$(.+?)\$\$", _block, text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"\$([^$\n]+)\$", r":math:`\1`", text)
    lines[:] = text.split("\n")


def plain_arrays(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: Any, gives: Any
) -> tuple[Any, Any]:
    """Write `Array` for the class that JAX has behind that name."""
    parts = [
        part and part.replace("jaxlib._jax.Array", "Array")
        for part in (signature, gives)
    ]
    return parts[0], parts[1]


def _block(found: re.Match[str]) -> str:
    indent = found[1]
    formula = re.sub(r"\s*\n\s*", " ", found[2].strip())
    return f"{indent}.. math::\n\n{indent}   {formula}\n"


def _inline_formula(translator: Any, node: Any) -> None:
    _formula(translator, node, "inline")


def _block_formula(translator: Any, node: Any) -> None:
    _formula(translator, node, "block")


def _formula(translator: Any, node: Any, display: str) -> None:
    from docutils.nodes import SkipNode

    translator.body.append(convert(node.astext(), display=display))
    raise SkipNode


def setup(app: Any) -> None:
    """Connect the above."""
    app.connect("builder-inited", write_api)
    app.connect("autodoc-process-docstring", markdown_math, priority=400)
    app.connect("autodoc-process-signature", plain_arrays)
    app.add_html_math_renderer(
        "mathml", (_inline_formula, None), (_block_formula, None)
    )

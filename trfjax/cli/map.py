"""`trfjax map`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from trfjax.data.dataset import Dataset
from trfjax.features.published_maps import published_maps
from trfjax.maps.inputs import mapped_score
from trfjax.maps.networks import folder_arrays
from trfjax.reporting.map_files import write_maps
from trfjax.reporting.maps_page import maps_page
from trfjax.studies.maps import SourceMaps, map_source, mapped
from trfjax.studies.opening import Opening, open_sources
from trfjax.studies.outputs import claimed
from trfjax.studies.runs import write_config
from trfjax.studies.specs import source_specs, spec_of


def run(config: Any) -> int:
    """Map sources on a target and write values and pictures."""
    mapped_score(config.metric, pixels=False)
    if config.limits is not None and not config.limits[0] < config.limits[1]:
        low, high = config.limits
        raise ValueError(f"--limits: {low:g} {high:g}; the first must be the lower")
    if bool(config.sources) == (config.published is not None):
        raise ValueError(
            "--sources: none given; name run folders of trfjax train, or a YAML list, "
            "or else a folder of features with --published"
        )
    options = {
        "metric": config.metric,
        "stride": config.stride,
        "seed": config.seed,
        "min_pixels": config.min_pixels,
        "epsilon": config.epsilon,
    }
    inputs = [*config.sources, *filter(None, (config.root, config.published))]
    with claimed(config.out, "map", inputs=inputs) as folder:
        target, maps = None, _published(config, options)
        if config.published is None:
            target, maps = _opened(config, options)
        found = []
        for one in maps:
            print(f"{one.source}: {one.cells}")
            found.append(one)
        write_config(folder, config)
        drawn: dict[str, Any] = {
            "images": config.images,
            "opacity": config.opacity,
            "limits": config.limits,
        }
        files = write_maps(found, target, folder, **drawn)
        if target is not None and all(one.pixels is not None for one in found):
            page = maps_page(found, target, folder / "maps.html", **drawn)
            print(f"page: {page}", file=sys.stderr)
    print(f"{len(files)} arrays and pictures in {folder}", file=sys.stderr)
    return 0


def _opened(
    config: Any, options: dict[str, Any]
) -> tuple[Dataset, Iterator[SourceMaps]]:
    """Return the target, and the maps of networks one after the other."""
    opening = Opening(
        target=spec_of(config, config.target, seed=config.seed),
        source_data=mapped_score(config.metric, pixels=False).two_sided,
        code=config.code,
    )
    opened = open_sources(source_specs(config.sources), opening)
    for note in opened.notes:
        print(f"warning: {note}", file=sys.stderr)
    networks, target = opened.on_images(
        "--sources: saved features are no maps; name the networks"
    )
    size = config.batch_size
    maps = (map_source(s, target, batch_size=size, **options) for s in networks)
    return target, maps


def _published(config: Any, options: dict[str, Any]) -> Iterator[SourceMaps]:
    """Yield the maps of a folder that others published."""
    for name, city, source, target in published_maps(config.published, config.city):
        arrays = folder_arrays(source, target, metric=config.metric)
        yield mapped(arrays, name, city, **options)

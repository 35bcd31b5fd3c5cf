"""`trfjax map`."""

from __future__ import annotations

import sys
from typing import Any

from trfjax.maps.inputs import mapped_score
from trfjax.ranking.rank import Source
from trfjax.reporting.map_files import write_maps
from trfjax.reporting.maps_page import maps_page
from trfjax.studies.maps import map_source
from trfjax.studies.opening import Opening, open_sources
from trfjax.studies.outputs import claimed
from trfjax.studies.runs import write_config
from trfjax.studies.specs import source_specs, spec_of


def run(config: Any) -> int:
    """Map sources on a target and write values and pictures."""
    spec = mapped_score(config.metric, pixels=False)
    if not config.sources:
        raise ValueError(
            "--sources: none given; name run folders of trfjax train, or a YAML list"
        )
    if not 0 <= config.opacity <= 1:
        raise ValueError(f"--opacity: {config.opacity} is outside 0..1")
    opening = Opening(
        target=spec_of(config, config.target, seed=config.seed),
        source_data=spec.two_sided,
        code=config.code,
    )
    opened = open_sources(source_specs(config.sources), opening)
    for note in opened.notes:
        print(f"warning: {note}", file=sys.stderr)
    inputs = [*config.sources, *filter(None, (config.root,))]
    with claimed(config.out, "map", inputs=inputs) as folder:
        found = []
        for source in opened.sources:
            if not isinstance(source, Source) or opened.target is None:
                raise ValueError(
                    f"--sources: {source.name!r} is saved features, which are no maps; "
                    "name its network"
                )
            found.append(
                map_source(
                    source, opened.target, metric=config.metric, stride=config.stride,
                    min_pixels=config.min_pixels, epsilon=config.epsilon,
                    batch_size=config.batch_size, seed=config.seed,
                )
            )  # fmt: skip
            print(f"{source.name}: {found[-1].cells}")
        write_config(folder, config)
        assert opened.target is not None  # of at least one source
        files = write_maps(
            found, opened.target, folder, images=config.images,
            opacity=config.opacity, limits=config.limits,
        )  # fmt: skip
        if all(one.pixels is not None for one in found):
            page = maps_page(
                found, opened.target, folder / "maps.html", images=config.images,
                opacity=config.opacity, limits=config.limits,
            )  # fmt: skip
            print(f"page: {page}", file=sys.stderr)
    print(f"{len(files)} arrays and pictures in {folder}", file=sys.stderr)
    return 0

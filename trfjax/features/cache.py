"""Features that were extracted before, found again by what they depend on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from trfjax.data.dataset import Dataset
from trfjax.features.compressed import CompressedSet
from trfjax.features.featureset import FeatureSet
from trfjax.files import user_folder
from trfjax.store import Made, Store

log = logging.getLogger("trfjax")

Found = TypeVar("Found", FeatureSet, CompressedSet)
Cache = str | Path | bool | None


def cache_folder(cache: Cache) -> Path | None:
    """Return the folder that `cache` stands for.

    Args:
        cache: a folder; True for `$TRFJAX_CACHE`, or else `trfjax` in the user's cache
            folder; None or False for none.
    """
    if cache is None or cache is False:
        return None
    if cache is not True:
        return Path(cache)
    return user_folder()


def kept_features(
    cache: Cache,
    facts: Mapping[str, Any],
    dataset: Dataset,
    load: Callable[[Path], Found],
    work: Callable[[], Found],
) -> Found:
    """Return features that were extracted before; extract and keep them where not.

    A folder that cannot be written costs time only, and is logged. Two processes that
    write one entry write the same, and the last one stays.

    Args:
        cache: where they are kept; see `cache_folder`.
        facts: what they depend on besides the data set; without the digest of weights
            or data there is nothing to find them by, and they are not kept.
        dataset: whose features they are.
        load: reads the file of an entry.
        work: extracts them.
    """
    folder = cache_folder(cache)
    if folder is None or not _has_identity(facts):
        return work()
    names = [dataset.class_names, dataset.ignore, dataset.image_ids]
    key = {**facts, "dataset": names}
    store = Store(folder / "features")
    file = f"{store.path(key).stem}.safetensors"
    if store.get(key) is not None:
        log.info("%s on %s: read back from %s", facts["model"], facts["data"], file)
        return load(store.folder / file)
    found = work()
    try:
        found.save(store.folder / file)
        store.put(key, Made(files=(file,)))
    except OSError as error:
        log.warning("cache: %s cannot be written (%s); going on without", file, error)
    return found


def _has_identity(facts: Mapping[str, Any]) -> bool:
    for name in ("weights", "fingerprint"):
        if not facts[name]:
            log.info(
                "%s on %s: not cached, its %s has no identity (digest=)",
                *(facts["model"], facts["data"], name),
            )
            return False
    return True

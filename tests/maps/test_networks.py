import numpy as np
import pytest

from tests.training.cases import network, squares
from trfjax.features.extract import extract
from trfjax.maps.networks import map_arrays
from trfjax.maps.pixel_map import pixel_map
from trfjax.maps.transfer_map import transfer_map


def test_maps_hold_what_the_network_says_of_every_pixel():
    model, data = network(), squares(3)
    found = map_arrays(model, data, metric="leep", progress=False)
    labels = np.stack([example["label"] for example in data])
    valid = labels != data.ignore
    np.testing.assert_array_equal(found.target_labels, np.where(valid, labels, -1))
    assert found.num_classes == 3 and found.source_features is None
    # The same pixels, drawn: all of them, in the order of the images.
    rows = extract(model, data, pixels=int(valid.sum()), progress=False)
    np.testing.assert_allclose(
        found.target_features[valid], rows.features["probs"], atol=1e-6
    )
    np.testing.assert_array_equal(found.predictions[valid], rows.predictions)
    mapped = transfer_map(*found.arrays, metric="leep", stride=16, **found.settings)
    assert mapped.valid.all() and mapped.values.shape == (2, 2)


def test_scores_get_what_they_read():
    model, data = network(), squares(2)
    options = {"source_data": squares(2, seed=5), "progress": False}
    nce = map_arrays(model, data, metric="nce", **options)
    assert nce.target_features is not None and nce.target_features.ndim == 3
    otce = map_arrays(model, data, metric="otce", **options)
    assert otce.source_features.shape == otce.target_features.shape
    with pytest.raises(ValueError, match="'otce' looks at source pixels"):
        map_arrays(model, data, metric="otce", progress=False)


def test_images_of_different_sizes_are_refused():
    small, large = squares(1), squares(1, size=(64, 64))
    both = [small[0], large[0]]

    def read(position):
        return both[position]["image"], both[position]["label"]

    import dataclasses

    ids = ("a", "b")
    mixed = dataclasses.replace(small, image_ids=ids, groups=ids, read=read)
    with pytest.raises(ValueError, match="maps need one size"):
        map_arrays(network(), mixed, metric="leep", progress=False)


@pytest.mark.parametrize("metric", ["leep", "logme", "otce"])
def test_what_memory_does_not_hold_is_mapped_from_a_file(metric):
    model, data = network(), squares(3)
    options = {"metric": metric, "source_data": data, "progress": False}
    held = map_arrays(model, data, **options)
    filed = map_arrays(model, data, memory=0, **options)
    for one, other in zip(held.arrays, filed.arrays, strict=True):
        assert isinstance(other, np.memmap) or other is None
        assert not isinstance(one, np.memmap)
        if one is not None:
            np.testing.assert_array_equal(one, other)
    for mapped, extra in ((transfer_map, {"stride": 16}), (pixel_map, {})):
        values = [
            mapped(*found.arrays, metric=metric, **extra, **found.settings).values
            for found in (held, filed)
        ]
        np.testing.assert_array_equal(values[0], values[1])

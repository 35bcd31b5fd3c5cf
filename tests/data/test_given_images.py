"""Images without labels: every container, and what the data set says of itself."""

import numpy as np
import pytest

from trfjax.data.given import as_dataset
from trfjax.data.given_images import as_images, without_labels


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)


def test_containers_hold_the_same(images):
    for given in (images, list(images), images / np.float32(255), tuple(images)):
        data = as_images(given)
        assert not data.labelled and len(data) == 3
        np.testing.assert_array_equal(data[1]["image"], images[1])
        assert data[1]["label"].shape == (4, 6) and not data[1]["label"].any()
    assert len(as_images(images[0])) == 1  # a single one
    assert as_images(images[..., 0])[0]["image"].shape == (4, 6, 1)
    assert as_images([images[0], images[1, :2]])[1]["image"].shape == (2, 6, 3)
    assert as_images(images).fingerprint != as_images(images[::-1]).fingerprint


def test_labels_of_none(images):
    data = as_dataset((images, None))
    assert not data.labelled and len(data) == 3
    labelled = as_dataset((images, np.arange(3)))
    bare = without_labels(labelled.select([2, 0]))
    assert not bare.labelled and bare.fingerprint != labelled.fingerprint
    assert bare[0]["label"].shape == () and bare[0]["label"] == 0
    np.testing.assert_array_equal(bare[0]["image"], images[2])
    assert without_labels(bare) is bare


def test_what_is_no_image(images):
    with pytest.raises(ValueError, match="there is none"):
        as_images([])
    with pytest.raises(TypeError, match="neither an array"):
        as_images(7)
    with pytest.raises(ValueError, match=r"images: 0: .*Undo a normalisation"):
        as_images(images.astype(np.float32))
    with pytest.raises(ValueError, match=r"expected \(h, w, c\)"):
        as_images(images[None])

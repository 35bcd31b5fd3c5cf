import numpy as np
import pytest

from trfjax.data import Dataset
from trfjax.data.given import as_dataset

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (4, 8, 10, 3)).astype(np.uint8)
MASKS = RNG.integers(0, 3, (4, 8, 10))
ONE_HOT = np.eye(3, dtype=int)[MASKS]


class Pairs:
    """What a torch data set looks like: a length, and items by position."""

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, index):
        return IMAGES[index], MASKS[index]


def mappings():
    return [
        {"image": image, "segmentation_mask": mask[..., None]}
        for image, mask in zip(IMAGES, MASKS, strict=True)
    ]


CONTAINERS = {
    "arrays": (IMAGES, MASKS),
    "floats": (IMAGES / 255.0, MASKS.astype(np.uint8)),
    "by position": Pairs(),
    "pairs": list(zip(IMAGES, MASKS, strict=True)),
    "batches of a loader": [(IMAGES[:3], MASKS[:3]), (IMAGES[3:], MASKS[3:])],
    "mappings": mappings(),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_every_container_gives_the_same_set(kind):
    found = as_dataset(CONTAINERS[kind])
    assert isinstance(found, Dataset)
    assert len(found) == len(IMAGES)
    for example, image, mask in zip(found, IMAGES, MASKS, strict=True):
        np.testing.assert_array_equal(example["image"], image)
        np.testing.assert_array_equal(example["label"], mask)
        assert example["image"].dtype == np.uint8
        assert example["label"].dtype == np.int32


def test_tensors_have_their_channels_first():
    torch = pytest.importorskip("torch")
    images, masks = torch.tensor(np.moveaxis(IMAGES, -1, 1)), torch.tensor(MASKS)
    for data in ((images, masks), list(zip(images, masks, strict=True))):
        found = as_dataset(data)
        np.testing.assert_array_equal(found[3]["image"], IMAGES[3])
        np.testing.assert_array_equal(found[3]["label"], MASKS[3])


def test_one_label_an_image_and_grey_images():
    found = as_dataset((IMAGES[..., 0], np.array([0, 2, 1, 1])), class_names="abc")
    assert found.class_names == ("a", "b", "c")
    assert found[1]["image"].shape == (8, 10, 1)
    assert found[1]["label"] == 2


def test_a_data_set_stays_as_it_is():
    found = as_dataset((IMAGES, MASKS))
    assert as_dataset(found) is found


def test_the_fingerprint_is_that_of_the_content():
    found = as_dataset((IMAGES, MASKS)).fingerprint
    assert as_dataset(Pairs()).fingerprint == found
    assert as_dataset((IMAGES, 2 - MASKS)).fingerprint != found


def test_ignored_labels_are_no_class():
    masks = np.where(MASKS == 2, 255, MASKS)
    assert as_dataset((IMAGES, masks)).num_classes == 2


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ((IMAGES, MASKS[:3]), {}, "4 images and 3 labels"),
        ((IMAGES, ONE_HOT), {}, "look one-hot: take their argmax"),
        ((IMAGES, MASKS[:, :4]), {}, r"label of shape \(4, 10\)"),
        ((np.moveaxis(IMAGES, -1, 1), MASKS), {}, "Channels come last"),
        ((IMAGES.astype(int), MASKS), {}, r"uint8, or floats in \[0, 1\]"),
        ((IMAGES / 255.0 - 0.5, MASKS), {}, "Undo a normalisation"),
        ((IMAGES, MASKS), {"class_names": ["a"]}, "labels from 0 to 2 for 1 classes"),
        ((IMAGES, MASKS - 1), {}, "pass ignore="),
        ((IMAGES, MASKS * 0 + 255), {}, "every label is ignored"),
        ((IMAGES[:0], MASKS[:0]), {}, "holds no image"),
        ([{"x": 1}], {}, "has the keys x"),
        ([], {}, "holds no image"),
    ],
)
def test_what_cannot_be_a_data_set(data, options, message):
    with pytest.raises(ValueError, match=message):
        as_dataset(data, **options)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "int is no data set"),
        ([3], "neither a pair"),
        ((IMAGES, MASKS.astype(float)), "class ids are integers"),
    ],
)
def test_what_is_of_another_type(data, message):
    with pytest.raises(TypeError, match=message):
        as_dataset(data)

"""The embedded street scenes: same bytes, sound labels, cities that differ."""

import hashlib
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trfjax.data.synthetic import CITIES, CLASS_NAMES, scene, synthetic_city

SMALL = (48, 96)
HERE = Path(__file__).parent


def digest(*arrays):
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


@pytest.fixture(scope="module")
def shares():
    """Share of every class over 20 images of each city, drawn unchecked: 240 scenes."""
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); "
    code += "import test_synthetic; print(test_synthetic.counted())"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    return {city: np.array(share) for city, share in json.loads(printed).items()}


def counted():
    found = {}
    for city in CITIES:
        labels = [scene(city, i, (64, 128), "game")[1] for i in range(20)]
        counts = np.bincount(np.ravel(labels), minlength=256)[: len(CLASS_NAMES)]
        found[city] = (counts / counts.sum()).tolist()
    return json.dumps(found)


def digests():
    return [
        digest(*scene("arden", 3, SMALL, "camera", 5)),
        digest(*scene("lumeo", 3, SMALL, "camera", 5)),
        digest(*scene("hollin", 3, SMALL, "game", 5)),
    ]


def test_the_same_arguments_give_the_same_bytes_in_another_process():
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); "
    code += "import test_synthetic; print(*test_synthetic.digests())"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert printed == digests() == digests()


def test_index_seed_and_city_each_change_the_scene():
    images = [
        scene("arden", 0, SMALL),
        scene("arden", 1, SMALL),
        scene("arden", 2, SMALL),
        scene("arden", 0, SMALL, seed=1),
        scene("bruma", 0, SMALL),
    ]
    assert len({digest(image) for image, _ in images}) == len(images)
    assert len({digest(label) for _, label in images}) == len(images)


@pytest.mark.parametrize("city", CITIES)
@pytest.mark.parametrize("size", [(32, 32), (33, 71), (96, 48), (64, 128)])
def test_sizes_types_and_label_range(city, size):
    image, label = scene(city, 4, size)
    assert image.shape == (*size, 3) and image.dtype == np.uint8
    assert label.shape == size and label.dtype == np.int32
    assert np.isin(label, [*range(len(CLASS_NAMES)), 255]).all()
    assert (label == 255).mean() < 0.15
    assert image.std() > 10


@pytest.mark.parametrize("city", CITIES)
def test_styles_share_the_label_and_nothing_else(city):
    camera, label = scene(city, 7, SMALL, "camera")
    game, same = scene(city, 7, SMALL, "game")
    np.testing.assert_array_equal(label, same)
    assert np.abs(camera.astype(int) - game).mean() > 8


def test_class_frequencies_tell_the_cities_apart(shares):
    gaps = {
        (a, b): np.abs(shares[a] - shares[b]).sum()
        for a, b in itertools.combinations(CITIES, 2)
    }
    assert min(gaps.values()) > 0.04, min(gaps, key=lambda pair: gaps[pair])
    assert max(gaps.values()) > 0.8
    # Relatives share their plan; strangers do not.
    assert gaps["arden", "bruma"] < 0.3 and gaps["fennick", "galden"] < 0.3
    assert gaps["arden", "ilmar"] > 0.6 and gaps["galden", "kestry"] > 0.6


def test_every_city_shows_at_least_thirteen_classes(shares):
    present = {city: int((share > 0).sum()) for city, share in shares.items()}
    assert min(present.values()) >= 13, present
    everywhere = np.all([share > 0 for share in shares.values()], axis=0)
    common = {name for name, seen in zip(CLASS_NAMES, everywhere, strict=True) if seen}
    assert common >= {
        "road",
        "sidewalk",
        "building",
        "vegetation",
        "sky",
        "car",
        "pole",
    }


def test_road_lies_below_the_sky():
    for city in CITIES:
        label = scene(city, 2, (64, 128))[1]
        rows = {
            name: np.nonzero(label == CLASS_NAMES.index(name))[0]
            for name in ("road", "sky")
        }
        assert rows["road"].min() > 20
        assert rows["road"].mean() > 40
        assert not len(rows["sky"]) or rows["sky"].max() < 42


def test_a_city_is_a_data_set():
    data = synthetic_city("fennick", 8, size=SMALL)
    assert data.name == "synthetic:fennick" and len(data) == 8
    assert data.image_ids[7] == "fennick/camera/000007"
    assert data.class_names == CLASS_NAMES and data.ignore == 255
    assert data.labels.palette is not None
    assert data.labels.palette[CLASS_NAMES.index("road")] == (128, 64, 128)
    example = data[7]
    image, label = scene("fennick", 7, SMALL)
    np.testing.assert_array_equal(example["image"], image)
    np.testing.assert_array_equal(example["label"], label)
    train, test = data.split(0.5)
    assert not set(train.groups) & set(test.groups)


def test_what_a_reader_writes_into_an_image_stays_with_it():
    data = synthetic_city("arden", 1, size=SMALL)
    first = data[0]["image"].copy()
    data[0]["image"][:] = 0
    np.testing.assert_array_equal(data[0]["image"], first)


def test_the_fingerprint_names_every_argument():
    variants = [
        synthetic_city("arden", 4, size=SMALL),
        synthetic_city("bruma", 4, size=SMALL),
        synthetic_city("arden", 5, size=SMALL),
        synthetic_city("arden", 4, size=(64, 96)),
        synthetic_city("arden", 4, size=SMALL, style="game"),
        synthetic_city("arden", 4, size=SMALL, seed=1),
    ]
    assert len({data.fingerprint for data in variants}) == len(variants)
    assert variants[4].name == "synthetic:arden:game"
    again = synthetic_city("arden", 4, size=SMALL)
    assert again.fingerprint == variants[0].fingerprint


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"city: unknown 'atlantis'.*arden"):
        synthetic_city("atlantis")
    with pytest.raises(ValueError, match="count"):
        synthetic_city("arden", 0)
    with pytest.raises(ValueError, match="size"):
        synthetic_city("arden", size=(31, 64))
    with pytest.raises(ValueError, match="size"):
        scene("arden", 0, (64, 8))
    with pytest.raises(ValueError, match="index"):
        scene("arden", -1)
    with pytest.raises(ValueError, match="seed"):
        scene("arden", 0, seed=-1)

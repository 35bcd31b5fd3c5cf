import numpy as np
import pytest

from trfjax.errors import DataError
from trfjax.features.head import softmax
from trfjax.features.published import read_published

SOURCE = "source_feature/{}"
TARGET = "target_feature/{}/{}"


def write(folder, count=11, *, channels=4, size=(5, 6), seed=0):
    rng = np.random.default_rng(seed)
    for side in ("final", "label"):
        (folder / side).mkdir(parents=True)
    for i in range(count):
        label = np.random.default_rng(i).choice([0, 1, 250], size)
        np.save(folder / "label" / f"{i}.npy", label)
        maps = rng.normal(size=(channels, *size)).astype(np.float32)
        np.save(folder / "final" / f"{i}.npy", maps)


@pytest.fixture
def root(tmp_path):
    for seed, model in enumerate(("berlin", "aachen")):
        write(tmp_path / SOURCE.format(model), 3, seed=seed)
        for city in ("ulm", "bonn"):
            write(tmp_path / TARGET.format(model, city), seed=seed + 9)
    return tmp_path


def test_every_model_on_the_same_pixels(root):
    found = read_published(root, "ulm", pixels=40)
    assert [name for name, _, _ in found] == ["aachen", "berlin"]
    (_, _, a), (_, _, b) = found
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_array_equal(a.image, b.image)
    assert not np.array_equal(a.space("logits"), b.space("logits"))
    assert a.image_ids == tuple(str(i) for i in range(11))  # 9 before 10
    assert len(a) == 40 and a.spaces == ("probs", "logits")
    assert a.facts["model"] == "aachen" and a.facts["data"] == "ulm"


def test_rows_are_those_of_the_files(root):
    _, source, _ = read_published(root, "ulm", models=["berlin"])[0]
    folder = root / SOURCE.format("berlin")
    maps = np.stack([np.load(folder / "final" / f"{i}.npy") for i in range(3)])
    labels = np.stack([np.load(folder / "label" / f"{i}.npy") for i in range(3)])
    valid = labels != 250
    logits = maps.transpose(0, 2, 3, 1)[valid]
    np.testing.assert_array_equal(source.space("logits"), logits)
    np.testing.assert_array_equal(source.space("probs"), softmax(logits))
    np.testing.assert_array_equal(source.labels, labels[valid])
    np.testing.assert_array_equal(source.predictions, logits.argmax(axis=1))


def test_what_does_not_exist_lists_what_does(root):
    with pytest.raises(ValueError, match="no 'koeln'; available: bonn, ulm"):
        read_published(root, "koeln")
    with pytest.raises(ValueError, match="choose one of bonn, ulm"):
        read_published(root)
    with pytest.raises(ValueError, match="no 'x'; available: aachen, berlin"):
        read_published(root, "ulm", models=["x"])
    with pytest.raises(FileNotFoundError, match="no folder with source_feature"):
        read_published(root / "nowhere", "ulm")


def objects(path):
    np.save(path, np.array([{}] * 4), allow_pickle=True)


def truncated(path):
    path.write_bytes(path.read_bytes()[:-8])


def longer(path):
    path.write_bytes(path.read_bytes() + b"more")


def huge(path):
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6, 9)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)


def not_a_number(path):
    np.save(path, np.full_like(np.load(path), np.nan))


def other_size(path):
    np.save(path, np.zeros((4, 5, 7), np.float32))


def other_channels(path):
    np.save(path, np.zeros((3, 5, 6), np.float32))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (objects, "object dtype"),
        (truncated, "damaged"),
        (longer, "damaged: its header says"),
        (huge, "above the limit of 4294967296"),
        (lambda path: path.write_bytes(b""), "damaged"),
        (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00\xff\xffjunk"), "damaged"),
        (not_a_number, "NaN or infinite at row"),
        (other_size, "differs from its features"),
        (other_channels, "number of channels differs"),
        (lambda path: path.unlink(), "has no partner in final"),
    ],
)
def test_hostile_files(root, damage, message):
    path = root / TARGET.format("berlin", "ulm") / "final" / "2.npy"
    damage(path)
    with pytest.raises(DataError, match=message) as caught:
        read_published(root, "ulm", models=["berlin"])
    assert caught.value.path.is_relative_to(root)


def test_labels_that_are_none(root):
    folder = root / TARGET.format("berlin", "ulm") / "label"
    for i in range(11):
        np.save(folder / f"{i}.npy", np.full((5, 6), 250))
    with pytest.raises(DataError, match="all of them are ignored"):
        read_published(root, "ulm")
    np.save(folder / "0.npy", np.full((5, 6), 0.5))
    with pytest.raises(DataError, match="32-bit integers"):
        read_published(root, "ulm")


@pytest.mark.parametrize("void", [255, -1])
def test_other_values_that_mark_pixels_to_ignore(root, void):
    folder = root / TARGET.format("berlin", "ulm") / "label"
    np.save(folder / "0.npy", np.where(np.eye(5, 6, dtype=bool), void, 1))
    (_, _, found) = read_published(root, "ulm", models=["berlin"])[0]
    assert set(found.labels.tolist()) <= {0, 1} and found.ignore == 250
    with pytest.raises(DataError, match=f"holds the label {void}, which looks like"):
        read_published(root, "ulm", models=["berlin"], ignore=250)
    (_, _, again) = read_published(root, "ulm", models=["berlin"], ignore=[250, void])[
        0
    ]
    np.testing.assert_array_equal(found.labels, again.labels)


def test_links_that_leave_a_folder_are_refused(root, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "0.npy"
    np.save(outside, np.zeros((4, 5, 6), np.float32))
    path = root / TARGET.format("berlin", "ulm") / "final" / "0.npy"
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(DataError, match="leads outside"):
        read_published(root, "ulm")

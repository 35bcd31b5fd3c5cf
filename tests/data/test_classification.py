import gzip
import json
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trfjax.data import load_dataset, stack
from trfjax.data.archives import read_idx
from trfjax.errors import DataError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def idx(path, values, shape=None):
    shape = values.shape if shape is None else shape
    header = bytes((0, 0, 8, len(shape))) + struct.pack(f">{len(shape)}I", *shape)
    content = header + values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.fixture
def mnist(tmp_path, rng):
    images = rng.integers(0, 256, (20, 28, 28))
    idx(tmp_path / "t10k-images-idx3-ubyte.gz", images)
    idx(tmp_path / "t10k-labels-idx1-ubyte.gz", np.arange(20) % 10)
    return tmp_path


def test_mnist(mnist):
    data = load_dataset("mnist", mnist)
    images, labels = stack(data)
    assert images.shape == (20, 28, 28, 1) and images.dtype == np.uint8
    assert labels.tolist() == [*range(10), *range(10)] and labels.dtype == np.int32
    assert data.class_names == tuple("0123456789") and data.name == "mnist"
    assert len(load_dataset("mnist:[:0.5]", mnist, split="test")) == 10
    with pytest.raises(DataError, match="'train'"):
        load_dataset("mnist", mnist, split="train")
    with pytest.raises(ValueError, match="train, test"):
        load_dataset("mnist", mnist, split="val")


def test_mnist_plain_files_of_both_splits(mnist, rng):
    idx(mnist / "train-images.idx3-ubyte", rng.integers(0, 256, (3, 28, 28)))
    idx(mnist / "train-labels.idx1-ubyte", np.arange(3))
    data = load_dataset("mnist", mnist)
    assert len(data) == 23 and data.image_ids[0] == "train/00000"


def test_classes_are_re_indexed_in_the_order_given(mnist):
    data = load_dataset("mnist", mnist, classes=[7, "0", 3])
    assert data.class_names == ("7", "0", "3") and len(data) == 6
    assert stack(data)[1].tolist() == [1, 2, 0, 1, 2, 0]
    assert len(load_dataset("mnist", mnist, classes=range(7))) == 14
    with pytest.raises(ValueError, match="no '10' here"):
        load_dataset("mnist", mnist, classes=[10])


def test_size_and_channels(mnist):
    image = load_dataset("mnist", mnist, size=(14, 16), channels=3)[0]["image"]
    assert image.shape == (14, 16, 3)
    np.testing.assert_array_equal(image[..., 0], image[..., 2])


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_idx_headers_are_checked_before_reading(tmp_path, packed):
    path = tmp_path / f"x{packed}"
    values = np.zeros((4, 2, 2))
    for shape in [(5, 2, 2), (3, 2, 2), (2**31, 2**31, 9)]:
        with pytest.raises(DataError, match="declares"):
            read_idx(idx(path, values, shape), 3)
    with pytest.raises(DataError, match="not an IDX"):
        read_idx(idx(path, values), 1)
    whole = idx(path, values).read_bytes()
    for end in range(len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError):
            read_idx(path, 3)


def test_mnist_files_that_disagree(mnist):
    idx(mnist / "t10k-labels-idx1-ubyte.gz", np.arange(19) % 10)
    with pytest.raises(DataError, match="20 images, but 19 labels"):
        load_dataset("mnist", mnist)
    idx(mnist / "t10k-labels-idx1-ubyte.gz", np.arange(20))
    with pytest.raises(DataError, match="19 beside it is outside"):
        load_dataset("mnist", mnist)


@pytest.fixture
def usps(tmp_path, rng):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "usps.h5", "w") as file:
        for part, n in (("train", 6), ("test", 4)):
            file[f"{part}/data"] = rng.random((n, 256), dtype=np.float32)
            file[f"{part}/target"] = np.arange(n, dtype=np.int32)
    return tmp_path


def test_usps(usps):
    data = load_dataset("usps", usps)
    assert len(data) == 10 and data[0]["image"].shape == (16, 16, 1)
    assert load_dataset("usps", usps, split="test").image_ids[0] == "test/00000"
    with pytest.raises(ValueError, match="train, test"):
        load_dataset("usps", usps, split="val")


def test_usps_without_the_extra(usps, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"trfjax\[hdf5\]"):
        load_dataset("usps", usps)


def test_hostile_hdf5(usps, tmp_path):
    import h5py

    path = tmp_path / "usps.h5"
    with h5py.File(path, "r+") as file:
        del file["test/data"]
        file["test/data"] = h5py.ExternalLink("/etc/passwd", "data")
    with pytest.raises(DataError, match="test/data is no plain"):
        load_dataset("usps", usps)
    with h5py.File(path, "r+") as file:
        del file["test"]
        file["train/data"][...] = np.full((6, 256), 7)  # type: ignore[index]
    with pytest.raises(DataError, match="outside"):
        load_dataset("usps", usps)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="HDF5"):
        load_dataset("usps", usps)
    path.unlink()
    with pytest.raises(DataError, match="no such file"):
        load_dataset("usps", usps)


def drawing(folder):
    path = folder / "drawing.png"
    Image.fromarray(np.eye(5, dtype=bool)).save(path)
    return path.read_bytes()


@pytest.fixture
def omniglot(tmp_path):
    content = drawing(tmp_path)
    (tmp_path / "zips").mkdir()
    with zipfile.ZipFile(tmp_path / "zips/small.zip", "w") as archive:
        for alphabet, characters in (("Greek", 3), ("Latin", 2)):
            for i in range(characters):
                for drawer in range(1, 5):
                    name = f"{alphabet}/character{i + 1:02d}/0{i}_{drawer:02d}.png"
                    archive.writestr(f"images/{name}", content)
    return tmp_path / "zips"


def test_omniglot_alphabets(omniglot):
    every = load_dataset("omniglot", omniglot)
    assert len(every) == 20 and every.num_classes == 5
    latin = load_dataset("omniglot:Latin", omniglot)
    assert latin.class_names == ("Latin/character01", "Latin/character02")
    images, labels = stack(latin)
    assert images.shape == (8, 5, 5, 1) and set(np.unique(images)) == {0, 255}
    assert labels.tolist() == [0, 1] * 4
    half = load_dataset("omniglot:Latin[:0.5]", omniglot / "small.zip")
    assert len(half) == 4 and half.num_classes == 2
    train, test = every.split(0.5)
    assert not set(train.groups) & set(test.groups)
    with pytest.raises(ValueError, match="Greek, Latin"):
        load_dataset("omniglot:Klingon", omniglot)


@pytest.mark.parametrize(
    "member", ["../a/b/c.png", "/a/b/c.png", "a\\..\\..\\b/c/d.png"]
)
def test_zip_members_that_leave_the_archive(omniglot, member):
    with zipfile.ZipFile(omniglot / "small.zip", "a") as archive:
        archive.writestr(member, b"x")
    with pytest.raises(DataError, match="leads outside the archive"):
        load_dataset("omniglot", omniglot)


def test_damaged_and_missing_zips(omniglot):
    path = omniglot / "small.zip"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="zip"):
        load_dataset("omniglot", omniglot)
    path.unlink()
    with pytest.raises(DataError, match="0 zip files"):
        load_dataset("omniglot", omniglot)


def pictures(root, *folders, count=2):
    for folder in folders:
        (root / folder).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (6, 4), (i, 0, 0)).save(root / folder / f"{i}.jpg")
    (root / "README.md").write_text("not an image")
    return root


def test_image_folders_with_domains(tmp_path):
    root = pictures(tmp_path, "photo/dog", "photo/cat", "sketch/dog", "sketch/cat")
    data = load_dataset("pacs:photo", root)
    assert len(data) == 4 and data.class_names == ("cat", "dog")
    assert data.image_ids[:2] == ("photo/cat/0", "photo/dog/0")  # classes alternate
    half = load_dataset("image-folder:photo[:0.5]", root)
    assert stack(half)[1].tolist() == [0, 1]
    assert stack(half)[0].shape == (2, 4, 6, 3)
    other = pictures(root, "paint/dog", "paint/horse")
    assert load_dataset("pacs:photo", other).class_names == ("cat", "dog")
    assert load_dataset("pacs:paint[:0.5]", other).class_names == ("dog", "horse")
    assert load_dataset("pacs", other).class_names == ("cat", "dog", "horse")
    with pytest.raises(ValueError, match="paint, photo, sketch"):
        load_dataset("pacs:cartoon", root)
    with pytest.raises(ValueError, match="no splits"):
        load_dataset("pacs:photo", root, split="train")


def test_image_folders_with_splits_or_neither(tmp_path):
    root = pictures(tmp_path / "a", "train/dog", "train/cat", "test/dog", "test/cat")
    assert len(load_dataset("image-folder", root, split="test")) == 4
    assert len(load_dataset("image-folder", root)) == 8
    with pytest.raises(ValueError, match="test, train"):
        load_dataset("image-folder", root, split="val")
    flat = load_dataset("image-folder", pictures(tmp_path / "b", "dog", "cat"))
    assert len(flat) == 4 and flat.class_names == ("cat", "dog")


def test_image_folders_that_cannot_be_read(tmp_path):
    root = pictures(tmp_path / "a", "dog", "photo/dog")
    with pytest.raises(DataError, match="different depths"):
        load_dataset("image-folder", root)
    with pytest.raises(DataError, match="no image"):
        load_dataset("image-folder", pictures(tmp_path / "b", "dog", count=0))
    (tmp_path / "c/dog").mkdir(parents=True)
    (tmp_path / "c/dog/x.jpg").symlink_to(root / "dog/0.jpg")
    with pytest.raises(DataError, match="leads outside"):
        load_dataset("image-folder", tmp_path / "c")


def images(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(root / path)
    return root


@pytest.mark.parametrize(
    "folder",
    ["{}/images/0.png", "train/{}/images/0.png", "{}/x/0.jpg", "a/{}/data/0.png"],
)
def test_a_folder_below_every_class_is_passed_over(tmp_path, folder):
    images(tmp_path, folder.format("n01"), folder.format("n02"))
    assert load_dataset("image-folder", tmp_path).class_names == ("n01", "n02")


@pytest.mark.parametrize("ending", ["webp", "bmp", "tif", "gif", "ppm", "TIFF"])
def test_a_class_of_another_format_does_not_vanish(tmp_path, ending):
    images(tmp_path, f"bird/0.{ending}", "cat/0.png", "dog/0.jpg")
    with pytest.raises(DataError, match=r"no PNG or JPEG \(1 such files.*Convert"):
        load_dataset("image-folder", tmp_path)
    (tmp_path / f"bird/0.{ending}").unlink()
    with pytest.raises(DataError, match=r"bird: holds no PNG or JPEG"):
        load_dataset("image-folder", tmp_path)


def test_class_names_are_composed(tmp_path):
    images(tmp_path, "a/caf\u00e9/0.png", "b/cafe\u0301/0.png", "a/tea/0.png")
    data = load_dataset("image-folder", tmp_path)
    assert data.class_names == ("caf\u00e9", "tea")


def test_images_lie_at_one_depth(tmp_path):
    images(tmp_path, "a/b/c/0.png", "a/b/d/0.png")
    with pytest.raises(DataError, match="lies too deep"):
        load_dataset("image-folder", tmp_path)


@pytest.mark.parametrize("beside", [True, False])
def test_a_folder_of_the_name_of_a_file(mnist, beside):
    """Kaggle's zip holds a file and a folder that holds it again."""
    for path in list(mnist.iterdir()):
        content = path.read_bytes()
        if not beside:
            path.unlink()
        folder = mnist / path.name.replace("-idx", ".idx" if not beside else "_idx")
        folder = mnist / path.name.replace("-idx", ".idx")
        folder.mkdir()
        (folder / path.name).write_bytes(content)
    assert len(load_dataset("mnist", mnist)) > 0


def test_options_of_segmentation_are_refused(mnist):
    with pytest.raises(ValueError, match="no meaning for 'mnist'"):
        load_dataset("mnist", mnist, labels="trainids")


@pytest.fixture
def prepared(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")

    class Toy(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = tmp_path

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(4, 6, 3)),
                "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, dl_manager):
            return {
                "train": self._generate_examples(),
                "test": self._generate_examples(),
            }

        def _generate_examples(self):
            for i in range(4):
                path = tmp_path / f"{i}.png"
                Image.new("RGB", (6, 4), (i, 0, 0)).save(path)
                yield i, {"image": path, "label": i % 2}

    builder = Toy(data_dir=tmp_path / "tfds", file_format="array_record")
    builder.download_and_prepare()
    return Path(builder.data_dir)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_prepared_tfds_folders(prepared):
    data = load_dataset(f"tfds:{prepared}", split="test")
    assert len(data) == 4 and data.class_names == ("cat", "dog")
    assert data.name == "tfds:toy/1.0.0/test"
    images, labels = stack(data)
    np.testing.assert_array_equal(images[:, 0, 0, 0] % 2, labels)
    assert len(load_dataset("tfds", prepared)) == 4
    with pytest.raises(ValueError, match=r"available: (train, test|test, train)"):
        load_dataset(f"tfds:{prepared}", split="val")
    assert "tensorflow" not in sys.modules


def test_tfds_folders_never_import_what_they_name(tmp_path):
    with pytest.raises(DataError, match=r"features\.json"):
        load_dataset(f"tfds:{tmp_path}")
    features = {
        "pythonClassName": "tensorflow_datasets.F",
        "x": [{"pythonClassName": "os.x"}],
    }
    (tmp_path / "features.json").write_text(json.dumps(features))
    with pytest.raises(DataError, match=r"'os\.x'"):
        load_dataset(f"tfds:{tmp_path}")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "folder", "count", "classes", "shape"),
    [
        ("mnist", "mnist", 8000, 10, (28, 28, 1)),
        ("usps", "usps", 8298, 10, (16, 16, 1)),
        ("omniglot", "omniglot", 2720, 136, (105, 105, 1)),
        ("omniglot:Greek", "omniglot", 480, 24, (105, 105, 1)),
        ("pacs:photo", "pacs", 420, 7, (112, 112, 3)),
        ("image-folder", "cifar10_subset", 2500, 10, (32, 32, 3)),
    ],
)
def test_shared_classification_sets(name, folder, count, classes, shape):
    if not (SHARED / folder).is_dir():
        pytest.skip(f"no shared data set {folder}")
    if name == "usps":
        pytest.importorskip("h5py")
    data = load_dataset(name, SHARED / folder)
    assert (len(data), data.num_classes) == (count, classes)
    assert data[-1]["image"].shape == shape

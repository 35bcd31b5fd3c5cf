"""What systems and editors leave in folders is no data, in every reader."""

import shutil
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from trfjax.data import load_dataset
from trfjax.data.paths import is_dropping, visible
from trfjax.errors import DataError
from trfjax.features import read_published

FOLDERS = [
    ".ipynb_checkpoints", ".git", ".svn", ".AppleDouble", ".Trash-1000", ".idea",
    ".Spotlight-V100", "@eaDir", "__MACOSX", "$RECYCLE.BIN", "#recycle", "lost+found",
    "System Volume Information", "__pycache__", ".thumbnails", "@Recycle", "CVS",
]  # fmt: skip
FILES = [
    "._{}", ".DS_Store", "Thumbs.db", "THUMBS.DB", "desktop.ini", ".{}.swp", "{}~",
    "#{}#", "~${}", ".directory", "ehthumbs.db", "{}.part", "{}.crdownload", "Icon\r",
]  # fmt: skip
APPLE = b"\x00\x05\x16\x07" + bytes(60)


def picture(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.full((4, 4), value, np.uint8)
    grey[0] = 1
    Image.fromarray(grey).save(path)


def litter(root):
    """Leave every dropping in every folder, with copies of images where they can be."""
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        images = sorted(path for path in folder.iterdir() if path.is_file())[:1]
        for name in FILES:
            (folder / name.format(images[0].name if images else "x.png")).write_bytes(
                APPLE
            )
        for name in FOLDERS:
            (folder / name).mkdir()
            for image in images:
                shutil.copy(image, folder / name / f"copy{image.suffix}")


def segmentation(root):
    for i in range(3):
        picture(root / f"images/{i}.png")
        picture(root / f"labels/{i}.png")
    (root / "classes.txt").write_text("a\nb\n")
    (root / "train.txt").write_text("0\n2\n")
    return lambda: [
        load_dataset("folders", root).image_ids,
        load_dataset("folders", root, split="train").image_ids,
    ]


def domains(root):
    for city in ("bonn", "ulm"):
        picture(root / f"images/{city}/0.png")
        picture(root / f"labels/{city}/0.png")
    return lambda: load_dataset("folders", root, classes=["a", "b"]).image_ids


def classes(root):
    for name in ("cat", "dog"):
        picture(root / f"{name}/0.png")

    def read():
        data = load_dataset("image-folder", root)
        return [data.class_names, data.image_ids]

    return read


def classes_of_domains(root):
    for name in ("art/cat", "art/dog", "photo/cat", "photo/dog"):
        picture(root / f"{name}/0.png")

    def read():
        data = load_dataset("image-folder:art", root)
        return [data.class_names, data.image_ids]

    return read


def idx(root):
    for name, array in (
        ("train-images-idx3-ubyte", np.zeros((2, 3, 3), np.uint8)),
        ("train-labels-idx1-ubyte", np.zeros(2, np.uint8)),
    ):
        head = bytes((0, 0, 8, array.ndim)) + struct.pack(
            f">{array.ndim}I", *array.shape
        )
        (root / name).write_bytes(head + array.tobytes())
    return lambda: load_dataset("mnist", root).image_ids


def characters(root):
    picture(root / "0709_01.png")
    content = (root / "0709_01.png").read_bytes()
    (root / "0709_01.png").unlink()
    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        archive.writestr("images/Greek/character01/0709_01.png", content)
        archive.writestr("__MACOSX/images/Greek/character01/._0709_01.png", APPLE)
        archive.writestr("images/Greek/character01/._0709_01.png", APPLE)
        archive.writestr("images/.ipynb_checkpoints/character01/a.png", content)
    return lambda: load_dataset("omniglot", root).image_ids


def published(root):
    for side in ("source_feature/m", "target_feature/m/c"):
        for kind in ("final", "label"):
            (root / side / kind).mkdir(parents=True)
        np.save(root / side / "final/0.npy", np.zeros((2, 3, 3), np.float32))
        np.save(root / side / "label/0.npy", np.eye(3, dtype=np.int32))

    def read():
        found = read_published(root, pixels=9)
        return [[name, s.image_ids, t.image_ids] for name, s, t in found]

    return read


READERS = [
    segmentation, domains, classes, classes_of_domains, idx, characters, published,
]  # fmt: skip


@pytest.mark.parametrize("make", READERS, ids=lambda make: make.__name__)
def test_a_reader_sees_the_same_with_droppings_and_without(tmp_path, make):
    read = make(tmp_path)
    before = read()
    litter(tmp_path)
    assert read() == before


@pytest.mark.parametrize("name", FOLDERS + [name.format("x.png") for name in FILES])
def test_droppings_have_names(name):
    assert is_dropping(name)


@pytest.mark.parametrize("name", ["x.png", "cat", "0", "a.b.c", "Thumbs", "a~b", "#1"])
def test_data_is_no_dropping(name):
    assert not is_dropping(name)


def test_a_root_below_a_hidden_folder_is_read(tmp_path):
    root = tmp_path / ".cache" / "data"
    read = classes(root)
    assert read()[0] == ("cat", "dog")


def test_a_name_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "bad\udcff.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"not UTF-8\. Rename"):
        visible(tmp_path)

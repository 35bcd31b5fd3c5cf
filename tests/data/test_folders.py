import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trfjax.data import LabelMap, load_dataset, stack
from trfjax.errors import DataError, DataWarning

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
CLASSES = ["a", "b", "c"]


def pair(root, stem, ids=(0, 1, 2), image_size=(4, 6), label_size=(4, 6)):
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    value = np.full((*image_size, 3), 7, np.uint8)
    Image.fromarray(value).save(root / f"images/{stem}.png")
    value = np.resize(np.array(ids, np.uint8), label_size)
    Image.fromarray(value).save(root / f"labels/{stem}.png")


@pytest.fixture
def root(tmp_path):
    for i in range(10):
        pair(tmp_path, f"x{i}")
    return tmp_path


def load(root, name="folders", **options):
    return load_dataset(name, root, classes=CLASSES, **options)


def test_unknown_names_and_missing_folders(tmp_path):
    with pytest.raises(ValueError, match=r"unknown data set 'cityscape'.*cityscapes"):
        load_dataset("cityscape", tmp_path)
    with pytest.raises(FileNotFoundError, match=f"nearest that exists is {tmp_path}"):
        load(tmp_path / "not" / "here")
    with pytest.raises(ValueError, match="pass root="):
        load_dataset("camvid")
    with pytest.raises(DataError, match="images/<stem>") as caught:
        load(tmp_path)
    assert caught.value.path == tmp_path


def test_options_without_meaning_are_refused(root):
    with pytest.raises(ValueError, match="labels"):
        load(root, labels="trainids")
    with pytest.raises(ValueError, match="give it once"):
        load(root, name="folders:a", domain="b")
    with pytest.raises(ValueError, match="size"):
        load(root, size=(0, 4))


def test_unpaired_files_are_named_and_counted(root):
    (root / "labels/x3.png").unlink()
    (root / "labels/x5.png").unlink()
    with pytest.raises(DataError, match=r"x3.png: image without a label \(2 such"):
        load(root)
    assert len(load(root, skip_unpaired=True)) == 8
    pair(root, "x3")
    pair(root, "x5")
    (root / "images/x7.png").unlink()
    with pytest.raises(DataError, match=r"labels/x7.png: label alone \(1 such"):
        load(root)
    assert len(load(root, skip_unpaired=True)) == 9


def test_no_labels_at_all(root):
    for path in (root / "labels").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"no label matches labels/<stem>\.png"):
        load(root)


def test_two_images_of_one_label(root):
    Image.new("RGB", (6, 4)).save(root / "images/x0.jpg")
    with pytest.raises(DataError, match="same name"):
        load(root)


def test_sizes_that_differ_are_both_named(root):
    pair(root, "x4", label_size=(4, 5))
    data = load(root)
    with pytest.raises(DataError, match="5x4 differs from its image 6x4") as caught:
        data[4]
    assert caught.value.path.name == "x4.png"


def test_ids_outside_the_map_name_the_file(root):
    pair(root, "x2", ids=(0, 1, 9))
    with pytest.raises(DataError, match=r"x2\.png: label id 9 is not") as caught:
        load(root)[2]
    assert caught.value.path.parent.name == "labels"
    labels = LabelMap(("a", "b", "c", "d"), ids={0: 0, 1: 1, 2: 2, 9: 3})
    assert load_dataset("folders", root, labels=labels)[2]["label"].max() == 3


def test_truncated_files_name_themselves(root):
    path = root / "images/x1.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match="Copy it again") as caught:
        load(root)[1]
    assert caught.value.path == path


def test_links_that_leave_the_root_are_refused(root, tmp_path_factory):
    away = tmp_path_factory.mktemp("away")
    pair(away, "secret")
    os.symlink(away / "images/secret.png", root / "images/y.png")
    os.symlink(away / "labels/secret.png", root / "labels/y.png")
    with pytest.raises(DataError, match="leads outside"):
        load(root)
    assert len(load(root, follow_links=True)) == 11
    (root / "images/y.png").unlink()
    (root / "labels/y.png").unlink()
    os.symlink(root / "images/x0.png", root / "images/y.png")
    os.symlink(root / "labels/x0.png", root / "labels/y.png")
    assert len(load(root)) == 11


@pytest.mark.parametrize("entry", ["../x0.png", "/etc/passwd", "images/../../x"])
def test_list_entries_that_leave_the_root_are_refused(root, entry):
    (root / "train.txt").write_text(f"images/x0.png\n{entry}\n")
    with pytest.raises(DataError, match="leads outside"):
        load(root, split="train")


def test_list_entries_that_do_not_exist_are_named(root):
    (root / "train.txt").write_text("x0\nx99.png\n\n")
    with pytest.raises(DataError, match="'x99'"):
        load(root, split="train")


def test_ranges_cut_in_natural_order(root):
    pair(root, "x10")
    pair(root, "x11")
    first = load(root, "folders:[:0.5]")
    second = load(root, "folders:[0.5:]")
    assert first.image_ids[-1] == "images/x5" and second.image_ids[-1] == "images/x11"
    assert len(first) + len(second) == 12
    assert not set(first.image_ids) & set(second.image_ids)
    for text in ("[:2]", "[0.5]", "[a:]", "x[", "[0.5:0.5]"):
        with pytest.raises(ValueError, match="domain"):
            load(root, f"folders:{text}")


def test_overlapping_choices_take_an_image_once(root):
    assert len(load(root, "folders:[:0.6],[0.4:]")) == 10


def test_count_and_size(root):
    data = load(root, count=4, size=(2, 3))
    images, labels = stack(data)
    assert images.shape == (4, 2, 3, 3) and labels.shape == (4, 2, 3)
    assert data.fingerprint != load(root, count=4).fingerprint
    with pytest.raises(ValueError, match="11 asked of folders, which has 10"):
        load(root, count=11)


def test_the_fingerprint_follows_content_and_labels(root):
    before = load(root).fingerprint
    assert load(root).fingerprint == before
    other = load_dataset("folders", root, classes=["a", "b", "d"]).fingerprint
    assert other != before
    os.utime(root / "labels/x0.png", ns=(1, 1))
    assert load(root).fingerprint != before


def test_reading_is_lazy_and_the_cache_keeps_what_was_read(root):
    data, kept = load(root), load(root, cache=2)
    first = kept[0]["image"]
    (root / "images/x0.png").unlink()
    with pytest.raises(FileNotFoundError):
        data[0]
    assert kept[0]["image"] is first and not first.flags.writeable
    assert kept[1] and kept[2]  # these push it out
    with pytest.raises(FileNotFoundError):
        kept[0]


def test_time_blocks_do_not_straddle_a_split(tmp_path):
    for part, frames in (("train", range(0, 60, 2)), ("val", range(1, 60, 2))):
        for frame in frames:
            for folder in (part, f"{part}annot"):
                (tmp_path / folder).mkdir(exist_ok=True)
            Image.new("RGB", (2, 2)).save(tmp_path / f"{part}/S_{frame}.png")
            Image.new("L", (2, 2)).save(tmp_path / f"{part}annot/S_{frame}.png")
    both = load_dataset("camvid", tmp_path)
    assert set(both.groups) == {f"S:{i}" for i in range(6)}
    train = load_dataset("camvid", tmp_path, split="train")
    where = dict(zip(both.image_ids, both.groups, strict=True))
    assert all(
        where[i] == g for i, g in zip(train.image_ids, train.groups, strict=True)
    )
    one, other = both.split(0.5, seed=1)
    assert not set(one.groups) & set(other.groups)


def test_synthetic_names_need_no_root():
    from trfjax.data.synthetic import CITIES

    name = sorted(CITIES)[0]
    data = load_dataset(f"synthetic:{name}", count=2, size=(32, 48), seed=1)
    game = load_dataset(f"synthetic:{name}:game", count=2, size=(32, 48), seed=1)
    assert len(data) == 2 and data[0]["image"].shape == (32, 48, 3)
    np.testing.assert_array_equal(data[0]["label"], game[0]["label"])
    with pytest.raises(ValueError, match="split"):
        load_dataset(f"synthetic:{name}", split="train")


def shared(folder):
    if not (SHARED / folder).is_dir():
        pytest.skip(f"no shared data set {folder}")
    return SHARED / folder


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("camvid", 616),
        ("camvid:0001TP", 124),
        ("camvid:0006R0", 101),
        ("camvid:0016E5", 305),
        ("camvid:Seq05VD", 86),
        ("camvid:0001TP,0006R0", 225),
        ("camvid:0016E5[:0.5]", 152),
        ("camvid:0016E5[0.5:]", 153),
    ],
)
def test_camvid_counts(name, count):
    data = load_dataset(name, shared("camvid"))
    assert len(data) == count
    assert data[0]["image"].shape == (180, 240, 3)


@pytest.mark.shared
def test_camvid_and_labelmefacade_share_six_classes():
    camvid = load_dataset("camvid", shared("camvid"), labels="common6", count=30)
    facade = load_dataset(
        "labelmefacade:cambridge_uk",
        shared("labelmefacade"),
        labels="common6",
        count=30,
    )
    assert camvid.class_names == facade.class_names
    for data in (camvid, facade):
        found = set(np.unique(np.concatenate([e["label"].ravel() for e in data])))
        assert found == {0, 1, 2, 3, 4, 5, 255}


@pytest.mark.shared
@pytest.mark.parametrize(
    ("domain", "count"), [("palma", 91), ("boston_area", 253), ("cambridge_uk", 81)]
)
def test_labelmefacade_counts(domain, count):
    data = load_dataset(f"labelmefacade:{domain}", shared("labelmefacade"))
    assert len(data) == count and data.num_classes == 8


@pytest.mark.shared
def test_carlascapes_sample():
    data = load_dataset("carlascapes", shared("carlascapes_sample"))
    assert len(data) == 4 and data[0]["label"].shape == (256, 512)


@pytest.mark.parametrize(
    "entry",
    [
        b"images\\x1.png", b".\\images\\x1.png", b"./images/x1.png", b"x1", b"x1.PNG",
        b"images/x1.png labels/x1.png", b"x1.png\r", b"\xef\xbb\xbfx1", b"  x1.png \t",
    ],
)  # fmt: skip
def test_lists_of_any_system(root, entry):
    (root / "train.txt").write_bytes(entry + b"\r\n")
    assert load(root, split="train").image_ids == ("images/x1",)


@pytest.mark.parametrize(
    "entry",
    ["C:\\data\\x1.png", "\\\\server\\x1.png", "..\\x1.png", "/x1.png", "C:x1.png"],
)
def test_lists_that_lead_outside_on_any_system(root, entry):
    (root / "train.txt").write_text(entry)
    with pytest.raises(DataError, match="leads outside"):
        load(root, split="train")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_class_lists_of_any_encoding(root, encoding, ending):
    text = ending.join(["road", "cafe\u0301", "sky", ""])
    (root / "classes.txt").write_bytes(text.encode(encoding))
    assert load_dataset("folders", root).class_names == ("road", "caf\u00e9", "sky")


def test_names_pair_in_any_form_of_unicode(root):
    pair(root, "e\u0301")
    (root / "labels/e\u0301.png").rename(root / "labels/\u00e9.png")
    (root / "train.txt").write_text("images/e\u0301.png\n")
    assert load(root, split="train").image_ids == ("images/\u00e9",)
    assert len(load(root)) == 11


def test_other_formats_are_named(root):
    (root / "images/x3.png").rename(root / "images/x3.webp")
    with pytest.raises(DataError, match=r"label alone.*x3.webp is no PNG or JPEG"):
        load(root)


def turned_pair(root, tag, label):
    image = np.zeros((4, 6, 3), np.uint8)
    image[:2] = 255
    exif = Image.Exif()
    exif[0x0112] = tag
    for name in ("images", "labels"):
        (root / name).mkdir(exist_ok=True)
    Image.fromarray(image).save(root / "images/0.png", exif=exif)
    Image.fromarray(label).save(root / "labels/0.png")
    return image[..., 0] > 0


def test_labels_fit_turned_images(tmp_path):
    """Drawn on the picture as it is seen; of 90 degrees, as it is stored, too."""
    stored = turned_pair(tmp_path, 3, np.zeros((4, 6), np.uint8))
    turned_pair(tmp_path, 3, stored[::-1, ::-1].astype(np.uint8))
    with pytest.warns(DataWarning, match=r"turned as their EXIF tag says.*without"):
        example = load(tmp_path)[0]
    assert ((example["image"][..., 0] > 0) == (example["label"] == 1)).all()
    for label in (np.rot90(stored, -1), stored):
        turned_pair(tmp_path, 6, label.astype(np.uint8))
        example = load(tmp_path)[0]
        assert ((example["image"][..., 0] > 0) == (example["label"] == 1)).all()
    turned_pair(tmp_path, 6, np.zeros((3, 3), np.uint8))
    with pytest.raises(DataError, match=r"size 3x3 .* 4x6 \(EXIF orientation 6"):
        load(tmp_path)[0]


@pytest.mark.parametrize("name", ["classes.txt", "domains.tsv", "train.txt"])
def test_list_files_stay_inside_and_are_files(root, tmp_path_factory, name):
    outside = tmp_path_factory.mktemp("outside") / "list"
    outside.write_text("x1\n")
    (root / name).symlink_to(outside)
    with pytest.raises(DataError, match="leads outside"):
        load_dataset("folders", root, classes=None if "c" in name[0] else CLASSES,
                     split="train" if name == "train.txt" else None)  # fmt: skip
    (root / name).unlink()
    os.mkfifo(root / name)
    if name == "domains.tsv":  # looked for, not asked for
        assert len(load(root)) == 10
        return
    with pytest.raises(DataError, match="a pipe or a device"):
        load_dataset("folders", root, classes=None if "c" in name[0] else CLASSES,
                     split="train" if name == "train.txt" else None)  # fmt: skip


def test_special_files_are_no_images(root):
    (root / "images/x1.png").unlink()
    os.mkfifo(root / "images/x1.png")
    data = load(root)
    with pytest.raises(DataError, match="a pipe or a device"):
        data[1]


def test_domains_in_a_table_of_any_system(root):
    rows = ["name\tdomain", *(f"x{i}\t{'ab'[i % 2]}" for i in range(9)), "x9"]
    (root / "domains.tsv").write_bytes("\r\n".join(rows).encode("utf-16"))
    assert len(load(root, name="folders:a")) == 5
    (root / "domains.tsv").write_text("name\tdomain\nx0\ta\tmore\n")
    with pytest.raises(DataError, match="more columns than its header"):
        load(root)

import numpy as np
import pytest
from PIL import Image

from trfjax.data import LAYOUTS, LabelFiles, LabelMap, Layout, load_dataset
from trfjax.data.layouts import COMMON6, TRAINIDS
from trfjax.errors import DataError

SIZE = (4, 6)


def image(path, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(path)


def label(path, ids, palette=False, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.resize(np.array(ids, np.uint8), size)
    picture = Image.fromarray(values)
    if palette:
        picture = Image.frombytes("P", picture.size, picture.tobytes())
        picture.putpalette([9, 200, 30] * 256)
    picture.save(path)


def city(root, split, name, frame, ids, kind="labelIds"):
    stem = f"{name}_{frame}"
    image(root / f"leftImg8bit/{split}/{name}/{stem}_leftImg8bit.png")
    label(root / f"gtFine/{split}/{name}/{stem}_gtFine_{kind}.png", ids)


def first_row(data, index=0):
    return data[index]["label"].ravel()[:4].tolist()


@pytest.fixture
def cityscapes(tmp_path):
    city(tmp_path, "train", "aachen", "000000_000019", [7, 8, 26, 0])
    city(tmp_path, "train", "aachen", "000000_000020", [23, 33, 1, 3])
    city(tmp_path, "train", "bremen", "000001_000019", [11, 12, 13, 17])
    city(tmp_path, "val", "lindau", "000002_000019", [19, 20, 21, 22])
    return tmp_path


def test_cityscapes_train_ids(cityscapes):
    data = load_dataset("cityscapes", cityscapes)
    assert len(data) == 4 and data.num_classes == 19
    assert first_row(data) == [0, 1, 13, 255]
    assert first_row(data, 1) == [10, 18, 255, 255]
    assert first_row(data, 3) == [6, 7, 8, 9]
    assert data.groups[0] == data.groups[1] == "aachen_000000"
    assert data.class_names == TRAINIDS.names


def test_cityscapes_cities_and_splits(cityscapes):
    assert len(load_dataset("cityscapes:aachen", cityscapes)) == 2
    assert len(load_dataset("cityscapes", cityscapes, split="val")) == 1
    both = load_dataset("cityscapes", cityscapes, domain=["bremen", "aachen"])
    assert len(both) == 3 and both.name == "cityscapes:bremen,aachen"
    with pytest.raises(ValueError, match=r"no 'ulm'.*aachen, bremen, lindau"):
        load_dataset("cityscapes:ulm", cityscapes)
    with pytest.raises(ValueError, match=r"no 'test'.*train, val"):
        load_dataset("cityscapes", cityscapes, split="test")
    with pytest.raises(ValueError, match="no 'lindau'"):
        load_dataset("cityscapes:lindau", cityscapes, split="train")


def test_cityscapes_native_and_common_labels(cityscapes):
    native = load_dataset("cityscapes", cityscapes, labels="native")
    assert native.num_classes == 34 and native.class_names[7] == "road"
    assert first_row(native) == [7, 8, 26, 0]
    common = load_dataset("cityscapes", cityscapes, labels="common6")
    assert first_row(common) == [0, 1, 5, 255] and common.class_names == COMMON6.names


def test_cityscapes_files_of_train_ids(tmp_path):
    city(
        tmp_path, "train", "aachen", "000000_000019", [0, 18, 255, 13], "labelTrainIds"
    )
    assert first_row(load_dataset("cityscapes", tmp_path)) == [0, 18, 255, 13]
    common = load_dataset("cityscapes", tmp_path, labels="common6")
    assert first_row(common) == [0, 255, 255, 5]
    with pytest.raises(ValueError, match="trainids, common6"):
        load_dataset("cityscapes", tmp_path, labels="native")


def test_bdd100k(tmp_path):
    image(tmp_path / "images/10k/train/ab-1.jpg")
    label(tmp_path / "labels/sem_seg/masks/train/ab-1.png", [0, 18, 255, 10])
    data = load_dataset("bdd100k", tmp_path, split="train")
    assert first_row(data) == [0, 18, 255, 10] and data.num_classes == 19


def test_gta5_palette_indices_are_label_ids(tmp_path):
    for i in range(12):
        image(tmp_path / f"images/{i:05d}.png")
        label(tmp_path / f"labels/{i:05d}.png", [7, 26, 34, 0], palette=True)
    data = load_dataset("gta5", tmp_path)
    assert first_row(data) == [0, 13, 255, 255]
    assert [data.groups.count(group) for group in sorted(set(data.groups))] == [10, 2]


def test_camvid(tmp_path):
    for part, stem in [("train", "A_9"), ("train", "A_10"), ("test", "B_1")]:
        image(tmp_path / f"{part}/{stem}.png")
        label(tmp_path / f"{part}annot/{stem}.png", [0, 3, 8, 11])
    data = load_dataset("camvid", tmp_path)
    assert data.image_ids == ("train/A_9", "train/A_10", "test/B_1")  # in time order
    assert first_row(data) == [0, 3, 8, 255] and data.num_classes == 11
    assert first_row(load_dataset("camvid:B", tmp_path, labels="trainids")) == [
        10, 0, 13, 255,
    ]  # fmt: skip
    assert first_row(load_dataset("camvid:B", tmp_path, labels="common6")) == [
        4, 0, 5, 255,
    ]  # fmt: skip


def test_labelmefacade(tmp_path):
    for stem in ("a", "b"):
        image(tmp_path / f"images/{stem}.jpg")
        label(tmp_path / f"labels/{stem}.png", [0, 1, 2, 8], palette=True)
    (tmp_path / "domains.tsv").write_text("name\tdomain\na\tpalma\nb\tboston\n")
    (tmp_path / "test.txt").write_text("images/b.jpg\n")
    assert first_row(load_dataset("labelmefacade:palma", tmp_path)) == [255, 0, 1, 7]
    test = load_dataset("labelmefacade", tmp_path, split="test", labels="common6")
    assert test.image_ids == ("images/b",) and first_row(test) == [255, 2, 5, 2]
    with pytest.raises(ValueError, match="available: test"):
        load_dataset("labelmefacade", tmp_path, split="val")


def test_carlascapes(tmp_path):
    stem = tmp_path / "train/Town1/Town1_000_1"
    image(stem.with_name(stem.name + "_img.png"))
    label(stem.with_name(stem.name + "_labelIds.png"), [1, 24, 14, 28])
    image(stem.with_name(stem.name + "_color.png"))
    assert first_row(load_dataset("carlascapes:Town1", tmp_path)) == [0, 0, 13, 255]


def test_folders_with_class_names_and_domains(tmp_path):
    image(tmp_path / "images/day/a.jpg")
    image(tmp_path / "images/night/a.png")
    for domain in ("day", "night"):
        label(tmp_path / f"labels/{domain}/a.png", [0, 1, 255, 1])
    data = load_dataset("folders:night", tmp_path, classes=["ground", "sky"])
    assert len(data) == 1 and first_row(data) == [0, 1, 255, 1]
    with pytest.raises(ValueError, match=r"classes\.txt"):
        load_dataset("folders", tmp_path)
    (tmp_path / "classes.txt").write_text("ground\nsky\n")
    assert load_dataset("folders", tmp_path).class_names == ("ground", "sky")


def test_a_layout_and_a_label_map_of_your_own(tmp_path):
    image(tmp_path / "eye/x.jpg")
    label(tmp_path / "mask/x_vessel.png", [0, 255])
    layout = Layout(
        images=("eye/{stem}.{ext}",),
        labels=(LabelFiles(("mask/{stem}_vessel.png",), {}),),
    )
    labels = LabelMap(("rest", "vessel"), ids={0: 0, 255: 1})
    data = load_dataset("retina", tmp_path, layout=layout, labels=labels)
    assert first_row(data) == [0, 1, 0, 1] and data.name == "retina"


def test_colour_labels_through_a_table(tmp_path):
    image(tmp_path / "images/a.png")
    colours = {(255, 0, 0): 0, (255, 0, 255): 1, (0, 0, 0): 255}
    table = np.array(list(colours), np.uint8)
    (tmp_path / "labels").mkdir()
    Image.fromarray(table[np.resize([0, 1, 2], SIZE)]).save(tmp_path / "labels/a.png")
    names = ["rest", "lane"]
    assert first_row(
        load_dataset("folders", tmp_path, colours=colours, classes=names)
    ) == [
        0,
        1,
        255,
        0,
    ]
    with pytest.raises(DataError, match="colours="):
        load_dataset("folders", tmp_path, classes=names)[0]


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "folders"])
def test_every_label_map_has_names_colours_and_one_ignore_value(name):
    for kind in LAYOUTS[name].labels:
        assert len(kind.paths) == len(LAYOUTS[name].images)
        for labels in kind.maps.values():
            assert labels.ignore == 255
            assert labels.palette is not None and len(labels.palette) == len(labels)

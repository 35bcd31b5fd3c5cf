"""Readers and whole files for them, to be damaged."""

import dataclasses
import functools
import gzip
import struct
import zipfile

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import csv, parquet

from tests.data.medical.files import ras, write
from tests.features.toy import trained
from trfjax.data import load_dataset, read_image, read_label
from trfjax.data.archives import read_idx
from trfjax.data.medical import read_volume
from trfjax.data.photographs import Photograph
from trfjax.features import FeatureSet, read_published
from trfjax.files import (
    read_arrays,
    read_json,
    read_table,
    write_arrays,
    write_json,
)
from trfjax.models.checkpoint import load_model, save_model
from trfjax.npy import map_npy, read_npz
from trfjax.ranking.cell import Cell
from trfjax.ranking.result import Ranking, read_ranking
from trfjax.reading import parse_json, read_bytes, read_lines, read_yaml
from trfjax.state import TrainedModel
from trfjax.store import Made, Store, read_record
from trfjax.studies.specs import read_sources

VALUES = {"name": "a", "scores": [1.5, None, -3e7], "deep": {"on": True, "x": "é"}}
ROWS = {
    "logits": np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3),
    "labels": np.arange(8, dtype=np.int32) % 3,
    "image": np.arange(8, dtype=np.int32) // 4,
}


def record(folder):
    write_json(folder / "a.json", VALUES)
    return folder / "a.json", read_json


def plain_json(folder):
    (folder / "a.json").write_text('{"a": [1, 2.5e3, null], "b": {"c": "d"}}')
    return folder / "a.json", lambda path: parse_json(path, read_bytes(path))


def yaml_file(folder):
    (folder / "a.yaml").write_text("data: synthetic:a\nsize: [64, 128]\nx: {y: 1e-3}\n")
    return folder / "a.yaml", read_yaml


def lines(folder):
    (folder / "a.txt").write_text("road\nStraße\nsky\n")
    return folder / "a.txt", read_lines


def arrays(folder):
    write_arrays(folder / "a.safetensors", ROWS, {"facts": VALUES})
    return folder / "a.safetensors", read_arrays


def npz(folder):
    np.savez_compressed(folder / "a.npz", **ROWS)
    return folder / "a.npz", read_npz


def npy(folder):
    np.save(folder / "a.npy", ROWS["logits"])
    return folder / "a.npy", lambda path: np.array(map_npy(path))


def features(folder):
    np.savez(folder / "a.npz", **ROWS)
    FeatureSet.load(folder / "a.npz").save(folder / "a.safetensors")
    return folder / "a.safetensors", FeatureSet.load


def foreign_features(folder):
    np.savez(folder / "a.npz", **ROWS)
    return folder / "a.npz", FeatureSet.load


def png_label(folder):
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(folder / "a.png")
    return folder / "a.png", read_label


def png_image(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    Image.fromarray(pixels).save(folder / "a.png", exif=exif)
    return folder / "a.png", read_image


def jpeg_image(folder):
    exif = Image.Exif()
    exif[0x0112] = 3
    pixels = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    Image.fromarray(pixels).save(folder / "a.jpg", exif=exif)
    return folder / "a.jpg", read_image


def idx(folder, ending=""):
    content = bytes((0, 0, 8, 3)) + struct.pack(">3I", 2, 3, 3) + bytes(range(18))
    path = folder / f"a{ending}"
    path.write_bytes(gzip.compress(content) if ending else content)
    return path, lambda path: read_idx(path, 3)


def characters(folder):
    Image.fromarray(np.eye(6, dtype=np.uint8)).save(folder / "a.png")
    content = (folder / "a.png").read_bytes()
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("x/Greek/c1/01_01.png", "x/Greek/c2/02_01.png"):
            archive.writestr(name, content)
    return folder / "a.zip", lambda path: list(load_dataset("omniglot", path))


def folder_lists(folder, name="classes.txt"):
    for side in ("images", "labels"):
        (folder / side).mkdir()
        for i in range(2):
            mask = np.eye(4, dtype=np.uint8)
            Image.fromarray(mask).save(folder / side / f"{i}.png")
    (folder / "classes.txt").write_text("a\nb\n")
    (folder / "domains.tsv").write_text("name\tdomain\n0\tx\n1\ty\n")

    def read(path):
        return list(load_dataset("folders", path.parent))

    return folder / name, read


def published(folder):
    for side in ("source_feature/m", "target_feature/m/c"):
        for kind in ("final", "label"):
            (folder / side / kind).mkdir(parents=True)
        np.save(folder / side / "final/0.npy", np.ones((2, 3, 3), np.float32))
        np.save(folder / side / "label/0.npy", np.eye(3, dtype=np.int32))
    path = folder / "target_feature/m/c/label/0.npy"
    return path, lambda path: read_published(path.parents[4], pixels=9)


def ranking(folder):
    cell = Cell("s", "t", "leep", score=-1.0, replicates=(0.5, float("nan")))
    found = Ranking("t", ("leep",), (cell,), {"seed": 0}, {"jax": "0"}, {}, ("a",), 1.0)
    found.to_json(folder / "results.json")
    return folder / "results.json", read_ranking


def stored(folder):
    store = Store(folder)
    store.put({"a": 1}, Made(value={"x": [1.0]}, arrays={"y": np.arange(3)}), name="a")
    return folder / "a.json", read_record


def table(folder, ending=".csv"):
    columns = {"source": ["a", "b"], "target": ["x", "x"], "leep": [-1.0, -0.5]}
    path, made = folder / f"a{ending}", pyarrow.table(columns)
    (parquet.write_table if ending == ".parquet" else csv.write_csv)(made, path)
    return path, read_table


def digits(folder):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "usps.h5", "w") as file:
        for part in ("train", "test"):
            file[f"{part}/data"] = np.zeros((2, 256), np.float32)
            file[f"{part}/target"] = np.arange(2)
    return folder / "usps.h5", lambda path: list(load_dataset("usps", path.parent))


def volume(folder, ending=".nii"):
    path = write(folder / f"a{ending}", *ras((3, 4, 5)))
    return path, read_volume


def photograph(folder, ending=".webp"):
    pixels = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    Image.fromarray(pixels).save(folder / f"a{ending}")
    return folder / f"a{ending}", lambda path: Photograph(path, "a").read()


def sources(folder):
    entry = "- {name: a, model: runs/a, data: {name: 'synthetic:arden', count: 3}}\n"
    (folder / "a.yaml").write_text(entry)
    return folder / "a.yaml", read_sources


def checkpoint(folder):
    known = trained()
    card = dataclasses.replace(known.card, config={"num_classes": 3, "width": 2})
    save_model(folder / "a.safetensors", TrainedModel(known.model, card))
    return folder / "a.safetensors", load_model


TARGETS = {
    "record": record,
    "plain_json": plain_json,
    "yaml": yaml_file,
    "lines": lines,
    "arrays": arrays,
    "npz": npz,
    "npy": npy,
    "features": features,
    "foreign_features": foreign_features,
    "png_label": png_label,
    "png_image": png_image,
    "jpeg_image": jpeg_image,
    "idx": idx,
    "idx_gz": functools.partial(idx, ending=".gz"),
    "characters": characters,
    "classes": folder_lists,
    "domains": functools.partial(folder_lists, name="domains.tsv"),
    "published": published,
    "ranking": ranking,
    "stored": stored,
    "table": table,
    "parquet": functools.partial(table, ending=".parquet"),
    "digits": digits,
    "volume": volume,
    "volume_gz": functools.partial(volume, ending=".nii.gz"),
    "webp": photograph,
    "tiff": functools.partial(photograph, ending=".tif"),
    "bmp": functools.partial(photograph, ending=".bmp"),
    "sources": sources,
    "checkpoint": checkpoint,
}

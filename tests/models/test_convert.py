"""Weights in: names, shapes, and nothing dropped in silence."""

import builtins

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.network_cases import CASES, CLASSES, build, shape_of
from trfjax.files import write_arrays
from trfjax.models import create_model
from trfjax.models.convert import from_torch_state_dict, read_state_dict
from trfjax.state import SourceModel, thaw
from trfjax.trees import flatten


def namings_of(case):
    net = thaw(build(case))
    return net, net.namings


def stored(model, table):
    """Return the arrays of a network as a checkpoint of that naming would."""
    mapping = {}
    for path, leaf in flatten({"params": model.params, "stats": model.stats}).items():
        here = path.split("/", 1)[1]
        name, value = table.name(here), np.asarray(leaf)
        if name is None:
            continue
        assert name not in mapping, f"two arrays are named {name}"
        axes = (3, 2, 0, 1) if value.ndim == 4 else tuple(range(value.ndim))[::-1]
        mapping[name] = value.transpose(axes)
    return mapping


SOME = ["unet", "fcn8s", "segnet", "resnet18", "bisenet", "conv4"]


@pytest.mark.parametrize("case", SOME)
def test_every_naming_comes_back(case):
    _, namings = namings_of(case)
    for label, table in namings.items():
        mapping = stored(build(case), table)
        assert mapping, label
        if table.fixes and case != "fcn8s":
            continue  # an order of inputs that torch alone can show
        prefixed = {f"module.{name}": value for name, value in mapping.items()}
        prefixed["module.bn.num_batches_tracked"] = np.array(3)
        other, report = from_torch_state_dict(
            build(case, seed=1), prefixed, naming=label
        )
        assert report.complete and report.skipped == ("bn.num_batches_tracked",)
        assert set(report.loaded) == set(mapping)
        total = len(jax.tree.leaves((other.params, other.stats)))
        assert len(report.loaded) + len(report.kept) == total
        for name, value in stored(other, table).items():
            np.testing.assert_array_equal(value, mapping[name])


@pytest.mark.parametrize("case", ["pspnet", "frrn_a-semseg", "deeplab-proda"])
def test_names_are_unique_and_cover_the_network(case):
    params, stats, graphdef = shape_of(case)
    zeros = [
        jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), tree)
        for tree in (params, stats)
    ]
    net = thaw(SourceModel(zeros[0], zeros[1], graphdef))
    paths = list(flatten(params)) + list(flatten(stats))
    for label, table in net.namings.items():
        names = [name for name in map(table.name, paths) if name]
        assert len(names) == len(set(names)), label
        if label in ("hszhao", "pytorch-semseg", "proda"):
            assert len(names) == len(paths), label


def test_a_vgg_classifier_becomes_convolutions():
    model = build("fcn8s")
    base = 2
    mapping = {
        "classifier.0.weight": np.arange(64 * base * 8 * base * 49, dtype=np.float32),
        "classifier.3.weight": np.eye(64 * base, dtype=np.float32),
    }
    first = mapping["classifier.0.weight"].reshape(64 * base, 8 * base * 49)
    mapping["classifier.0.weight"] = first
    filled, report = from_torch_state_dict(
        model, mapping, naming="torchvision-vgg16", strict=False
    )
    kernel = filled.params["fc6"]["kernel"]
    # Rows of the linear layer are channels, then rows, then columns.
    assert kernel[2, 3, 5, 7] == first[7, 5 * 49 + 2 * 7 + 3]
    assert set(report.loaded) == set(mapping)


def test_a_backbone_leaves_the_rest_and_says_so():
    _, namings = namings_of("bisenet")
    mapping = stored(build("bisenet"), namings["torchvision-resnet"])
    mapping["fc.weight"] = np.zeros((1000, 32), np.float32)
    _, report = from_torch_state_dict(build("bisenet", seed=1), mapping)
    assert report.naming == "torchvision-resnet" and report.complete
    assert report.skipped == ("fc.weight",)
    assert "spatial/0/conv/kernel" in report.kept


def unet_mapping():
    return stored(build("unet"), namings_of("unet")[1]["pytorch-unet"])


def test_nothing_is_lost_in_silence():
    model, mapping = build("unet", seed=1), unet_mapping()
    del mapping["outc.conv.bias"]
    mapping["extra.weight"] = np.zeros(3)
    mapping["inc.double_conv.0.weight"] = np.zeros((4, 1, 3, 3))
    with pytest.raises(
        ValueError, match=r"does not fit.*1 missing: outc\.conv\.bias"
    ) as e:
        from_torch_state_dict(model, mapping)
    text = str(e.value)
    assert "1 unexpected: extra.weight" in text and "strict=False" in text
    assert "1 misshaped: inc.double_conv.0.weight (4, 1, 3, 3)" in text
    filled, report = from_torch_state_dict(model, mapping, strict=False)
    assert report.missing == ("outc.conv.bias",)
    assert report.unexpected == ("extra.weight",)
    assert len(report.misshaped) == 1 and not report.complete
    assert "inc.double_conv.0.weight" not in report.loaded
    kept = filled.params["encoder"][0]["conv1"]["kernel"]
    np.testing.assert_array_equal(kept, model.params["encoder"][0]["conv1"]["kernel"])


def test_another_architecture_is_recognised():
    with pytest.raises(ValueError, match=r"no tensor of this checkpoint.*pytorch-unet"):
        from_torch_state_dict(build("unet"), {"blocks.0.attn.qkv.weight": np.zeros(3)})
    with pytest.raises(ValueError, match=r"unknown naming 'keras'.*pytorch-semseg"):
        from_torch_state_dict(build("unet"), {}, naming="keras")


def test_a_checkpoint_of_another_network_is_refused():
    segnet = stored(build("segnet"), namings_of("segnet")[1]["pytorch-semseg"])
    with pytest.raises(ValueError, match="no tensor of this checkpoint"):
        from_torch_state_dict(build("unet"), segnet)
    small = stored(build("resnet18"), namings_of("resnet18")[1]["torchvision"])
    with pytest.raises(ValueError, match=r"does not fit.*missing: .*misshaped"):
        from_torch_state_dict(build("resnet101"), small)


def test_other_class_counts_are_misshaped_heads():
    name, config, _ = CASES["unet"]
    model = create_model(name, num_classes=CLASSES + 1, **config)
    _, report = from_torch_state_dict(model, unet_mapping(), strict=False)
    assert [m.split(" ")[0] for m in report.misshaped] == [
        *("outc.conv.bias", "outc.conv.weight")
    ]
    assert "5 missing" not in str(report) and "2 misshaped" in str(report)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_files_without_torch(tmp_path, suffix):
    path, mapping = tmp_path / f"weights{suffix}", unet_mapping()
    if suffix == ".npz":
        np.savez(path, **mapping)
    else:
        write_arrays(path, mapping)
    read = read_state_dict(path)
    assert set(read) == set(mapping)
    _, report = from_torch_state_dict(build("unet", seed=1), read)
    assert report.complete


def test_unreadable_files(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_state_dict(tmp_path / "a.npz")
    (tmp_path / "a.h5").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"unknown kind of checkpoint.*\.safetensors"):
        read_state_dict(tmp_path / "a.h5")
    (tmp_path / "a.safetensors").write_bytes(b"x")
    with pytest.raises(ValueError, match="damaged"):
        read_state_dict(tmp_path / "a.safetensors")
    (tmp_path / "a.pth").write_bytes(b"x")
    imported = builtins.__import__

    def without_torch(name, *args, **kwargs):
        if name == "torch":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    with pytest.raises(ImportError, match=r"reading a\.pth needs the 'torch' extra"):
        read_state_dict(tmp_path / "a.pth")

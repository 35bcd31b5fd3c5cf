"""Imported weights give the outputs of the PyTorch networks they come from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.models import torch_reference as ref  # noqa: E402
from tests.models import torch_residual as res  # noqa: E402
from trfjax.models import create_model  # noqa: E402
from trfjax.models.convert import from_torch_state_dict, read_state_dict  # noqa: E402
from trfjax.state import apply  # noqa: E402

# Torch network, name here, configuration, naming, size of the images, and how many
# stored tensors have no effect (besides the counts of batches).
CASES = {
    "unet": (
        lambda: ref.PytorchUNet(4, 5, False),
        *("unet", {"width": 4}, "pytorch-unet", (45, 61), 0),
    ),
    "unet-bilinear": (
        lambda: ref.PytorchUNet(4, 5, True),
        *("unet", {"width": 4, "variant": "bilinear"}, "pytorch-unet", (45, 61), 0),
    ),
    "unet-semseg": (
        lambda: ref.SemsegUNet(4, 5),
        *("unet", {"width": 4, "variant": "semseg"}, "pytorch-semseg"),
        *((188, 204), 0),
    ),
    "unet-semseg-padded": (
        lambda: ref.SemsegUNet(4, 5, p=1),
        *("unet", {"width": 4, "variant": "semseg", "padding": 1}, "pytorch-semseg"),
        *((48, 64), 0),
    ),
    "unet-paper": (
        lambda: ref.SemsegUNet(4, 5, norms=False),
        *("unet", {"width": 4, "variant": "paper"}, "pytorch-semseg", (188, 204), 0),
    ),
    "fcn8s": (
        lambda: ref.FCN(2, 5),
        *("fcn8s", {"width": 2}, "pytorch-semseg", (45, 61), 0),
    ),
    "lenet": (lambda: ref.TorchLeNet(5), "lenet", {}, "torch", (28, 28), 0),
    "lenet-caffe": (
        lambda: ref.CaffeLeNet(5),
        *("lenet", {"variant": "caffe"}, "torch", (28, 28), 0),
    ),
    "conv4": (
        lambda: ref.TorchConv4(8, 5, 36),
        *("conv4", {"width": 8, "input_size": (36, 36)}, "torch", (36, 36), 0),
    ),
    "frrn-semseg": (
        lambda: ref.SemsegFRRN(6, 5),
        *("frrn_a", {"width": 6, "variant": "semseg"}, "pytorch-semseg", (32, 48), 0),
    ),
    "frrn_b-semseg": (
        lambda: ref.SemsegFRRN(6, 5, model="b"),
        *("frrn_b", {"width": 6, "variant": "semseg"}, "pytorch-semseg", (32, 64), 0),
    ),
    "resnet18": (
        lambda: res.Torchvision(4, 5),
        *("resnet18", {"width": 4}, "torchvision", (45, 61), 0),
    ),
    "bisenet": (
        lambda: res.SimpleBiSeNet(4, 5),
        *("bisenet", {"width": 4}, "ooooverflow", (64, 96), 30),
    ),
    "pspnet-hszhao": (
        lambda: res.HszhaoPSPNet(4, 5),
        *("pspnet", {"width": 4, "depth": 50}, "hszhao", (57, 73), 0),
    ),
    "pspnet-semseg": (
        lambda: res.SemsegPSPNet(4, 5),
        *("pspnet", {"width": 4, "depth": 50, "pooling": "fixed"}, "pytorch-semseg"),
        *((64, 90), 0),
    ),
    "deeplab-multi": (
        lambda: res.AdaptSegNet(4, 5),
        *("deeplabv2", {"width": 4, "variant": "multi"}, "adaptsegnet-multi"),
        *((60, 61), 0),
    ),
    "deeplab-first-two": (
        lambda: res.AdaptSegNet(4, 5, branches=2),
        *("deeplabv2", {"width": 4, "variant": "multi", "aspp": "first_two"}),
        *("adaptsegnet-multi", (60, 61), 0),
    ),
    "deeplab-proda": (
        lambda: res.ProDA(4, 5),
        *("deeplabv2", {"width": 4, "variant": "proda"}, "proda", (60, 61), 0),
    ),
}


def images(size, channels):
    x = np.random.default_rng(1).normal(size=(2, channels, *size))
    return x.astype(np.float32)


def relative_error(here, there):
    there = there.detach().numpy()
    there = there.transpose(0, 2, 3, 1) if there.ndim == 4 else there
    return np.abs(np.asarray(here) - there).max() / np.abs(there).max()


@pytest.mark.parametrize("case", CASES)
def test_imported_weights_give_the_outputs_of_torch(case):
    build, name, config, naming, size, dead = CASES[case]
    torch.manual_seed(0)
    net = ref.randomise(build())
    x = images(size, 1 if name in ("lenet", "conv4") else 3)
    model = create_model(name, num_classes=5, **config)
    model, report = from_torch_state_dict(model, net.state_dict())
    assert report.naming == naming and report.complete and not report.kept
    counts = [n for n in report.skipped if n.endswith("num_batches_tracked")]
    assert len(report.skipped) - len(counts) == dead, report.skipped
    out = jax.jit(apply, static_argnames="aux")(
        model, jnp.asarray(x.transpose(0, 2, 3, 1)), aux=True
    )
    with torch.no_grad():
        expected = net(torch.from_numpy(x))
    expected = expected if isinstance(expected, tuple) else (expected,)
    errors = [
        relative_error(a, b)
        for a, b in zip((out.logits, *out.aux), expected, strict=True)
    ]
    print(case, "largest relative error", max(errors))
    assert max(errors) < 1e-5


@pytest.mark.parametrize("official", [False, True])
def test_segnet_equals_torch_in_double_precision(official, x64):
    """In single precision near-ties of the pooling move values by a pixel."""
    net = ref.randomise(ref.SemsegSegNet(4, 5, official).double())
    variant = "official" if official else "semseg"
    model = create_model("segnet", num_classes=5, width=4, variant=variant)
    model = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), model)
    model, report = from_torch_state_dict(model, net.state_dict())
    assert report.complete and not report.kept
    x = images((45, 61), 3).astype(np.float64)
    out = apply(model, jnp.asarray(x.transpose(0, 2, 3, 1)))
    error = relative_error(out.logits, net(torch.from_numpy(x)))
    assert error < 1e-12


@pytest.mark.parametrize("model", ["a", "b"])
def test_official_frrn_equals_torch_by_a_naming_of_ones_own(model):
    from trfjax.models.frrn import NAMINGS
    from trfjax.models.naming import Naming

    rules = [r for r in NAMINGS["pytorch-semseg"].rules if r[0] != "^split$"]
    extra = (
        (r"^split\.conv", "split_conv.cb_unit.0"),
        (r"^split\.norm", "split_conv.cb_unit.1"),
    )
    net = ref.randomise(ref.SemsegFRRN(6, 5, official=True, model=model))
    network = create_model(f"frrn_{model}", num_classes=5, width=6)
    naming = Naming((*extra, *rules))
    network, report = from_torch_state_dict(network, net.state_dict(), naming=naming)
    assert report.complete and not report.kept and report.naming == "custom"
    x = images((32, 64), 3)
    out = jax.jit(apply)(network, jnp.asarray(x.transpose(0, 2, 3, 1)))
    assert relative_error(out.logits, net(torch.from_numpy(x))) < 1e-5


def test_official_bisenet_equals_torch():
    from trfjax.models.naming import Naming
    from trfjax.models.trunk import torchvision_rules

    same = "^(?=spatial|context|refine|fusion|attention|head)"
    naming = Naming(
        (*torchvision_rules("backbone."), (same, "")), dead=(r"^backbone\.fc",)
    )
    net = ref.randomise(res.OfficialBiSeNet(4, 5))
    model = create_model("bisenet_official", num_classes=5, width=4)
    model, report = from_torch_state_dict(model, net.state_dict(), naming=naming)
    assert report.complete and not report.kept
    x = images((61, 90), 3)
    out = jax.jit(apply, static_argnames="aux")(
        model, jnp.asarray(x.transpose(0, 2, 3, 1)), aux=True
    )
    with torch.no_grad():
        expected = net(torch.from_numpy(x))
    for a, b in zip((out.logits, *out.aux), expected, strict=True):
        assert relative_error(a, b) < 1e-5


def test_a_torch_checkpoint_is_read_without_running_it(tmp_path):
    net = ref.randomise(ref.TorchLeNet(5))
    torch.save({"model_state": net.state_dict(), "epoch": 3}, tmp_path / "a.pth")
    stored = read_state_dict(tmp_path / "a.pth")
    assert set(stored) == set(net.state_dict())
    torch.save(net, tmp_path / "whole.pth")
    with pytest.raises(ValueError, match=r"more than tensors.*\.safetensors"):
        read_state_dict(tmp_path / "whole.pth")
    (tmp_path / "bad.pth").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="damaged"):
        read_state_dict(tmp_path / "bad.pth")


def test_bfloat16_tensors_are_read(tmp_path):
    net = ref.randomise(ref.TorchLeNet(5)).bfloat16()
    model = create_model("lenet", num_classes=5)
    _, report = from_torch_state_dict(model, net.state_dict())
    assert report.complete

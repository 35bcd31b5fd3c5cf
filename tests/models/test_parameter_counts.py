"""Parameters, counted from the layer tables by arithmetic of their own."""

import functools

import jax
import pytest

from trfjax.models import abstract_model

CLASSES = (12, 19)


def count(name, **config):
    params, _, _ = abstract_model(name, **config)
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("config", "c12", "c19"),
    [
        ({}, 31_038_348, 31_038_803),
        ({"variant": "bilinear"}, 17_263_692, 17_264_147),
        ({"variant": "paper"}, 31_032_460, 31_032_915),
        ({"variant": "semseg", "width": 64}, 31_040_396, 31_040_851),
        ({"variant": "semseg"}, 1_943_276, 1_943_395),
    ],
)
def test_unet_has_the_public_counts(config, c12, c19):
    assert count("unet", num_classes=12, **config) == c12
    assert count("unet", num_classes=19, **config) == c19


def test_unet_semseg_stages():
    params, _, _ = abstract_model("unet", num_classes=19, variant="semseg")
    size = lambda part: sum(leaf.size for leaf in jax.tree.leaves(part))  # noqa: E731
    encoder = [size(params["encoder"][i]) for i in range(4)]
    assert encoder == [2_832, 14_016, 55_680, 221_952]
    assert size(params["centre"]) == 886_272
    decoder = [size(params["decoder"][i]) + size(params["up"][i]) for i in range(4)]
    assert decoder == [573_824, 143_552, 35_936, 9_008]
    assert size(params["head"]) == 323


def test_segnet_has_the_public_counts():
    assert count("segnet", num_classes=12) == 29_449_932
    assert count("segnet", num_classes=19) == 29_453_971
    assert count("segnet", num_classes=12, variant="semseg") == 29_449_956
    assert count("segnet", num_classes=19, variant="semseg") == 29_454_009


def conv(i, o, k=3, bias=True):
    return i * o * k * k + o * bias


def unit(i, o, k=3, bias=False):
    return conv(i, o, k, bias) + 2 * o  # and the norm


def basics(i, p, n, project):
    first = unit(i, p) + unit(p, p) + project * unit(i, p, 1)
    return first + (n - 1) * 2 * unit(p, p)


def bottlenecks(i, p, n):
    inner = unit(p, p) + unit(p, 4 * p, 1)
    first = unit(i, p, 1) + inner + unit(i, 4 * p, 1)
    return first + (n - 1) * (unit(4 * p, p, 1) + inner)


RESNET18 = (
    unit(3, 64, 7)
    + basics(64, 64, 2, 0)
    + basics(64, 128, 2, 1)
    + basics(128, 256, 2, 1)
    + basics(256, 512, 2, 1)
)
LATER101 = (
    bottlenecks(256, 128, 4) + bottlenecks(512, 256, 23) + bottlenecks(1024, 512, 3)
)
LATER50 = (
    bottlenecks(256, 128, 4) + bottlenecks(512, 256, 6) + bottlenecks(1024, 512, 3)
)
RESNET101 = unit(3, 64, 7) + bottlenecks(64, 64, 3) + LATER101
DEEP_STEM = unit(3, 64) + unit(64, 64) + unit(64, 128) + bottlenecks(128, 64, 3)


@pytest.mark.parametrize("c", CLASSES)
def test_residual_classifiers(c):
    assert RESNET18 + conv(512, 1000, 1) == 11_689_512  # the published count
    assert RESNET101 + conv(2048, 1000, 1) == 44_549_160
    assert count("resnet18", num_classes=c) == RESNET18 + conv(512, c, 1)
    assert count("resnet101", num_classes=c) == RESNET101 + conv(2048, c, 1)


@pytest.mark.parametrize("c", CLASSES)
def test_pspnet(c):
    head = 4 * unit(2048, 512, 1) + unit(4096, 512) + conv(512, c, 1)
    aux = unit(1024, 256) + conv(256, c, 1)
    assert count("pspnet", num_classes=c) == DEEP_STEM + LATER101 + head + aux
    expected = DEEP_STEM + LATER50 + head + aux
    assert count("pspnet", num_classes=c, depth=50) == expected


@pytest.mark.parametrize("c", CLASSES)
def test_deeplab(c):
    def aspp(i):
        return 4 * conv(i, c)

    assert count("deeplabv2", num_classes=c) == RESNET101 + aspp(2048)
    multi = RESNET101 + aspp(2048) + aspp(1024)
    assert count("deeplabv2", num_classes=c, variant="multi") == multi
    branches = unit(2048, 256, 1, True) + 4 * unit(2048, 256, 3, True)
    squeeze = conv(1280, 80, 1) + conv(80, 1280, 1)
    head = branches + squeeze + unit(1280, 256, 3, True) + 256 * c
    assert count("deeplabv2", num_classes=c, variant="proda") == RESNET101 + head


@pytest.mark.parametrize("c", CLASSES)
def test_bisenet(c):
    spatial = unit(3, 64) + unit(64, 128) + unit(128, 256)
    for depth, trunk, third, fourth in (
        (18, RESNET18, 256, 512),
        (101, RESNET101, 1024, 2048),
    ):
        arms = conv(third, third, 1) + conv(fourth, fourth, 1)
        supervision = conv(third, c, 1) + conv(fourth, c, 1)
        fusion = unit(256 + third + fourth, c) + 2 * conv(c, c, 1)
        expected = spatial + trunk + arms + supervision + fusion + conv(c, c, 1)
        assert count("bisenet", num_classes=c, depth=depth) == expected


@pytest.mark.parametrize("c", CLASSES)
def test_bisenet_of_the_authors(c):
    spatial = unit(3, 64, 7) + 2 * unit(64, 64) + unit(64, 128, 1)
    trunks = ((18, RESNET18, 256, 512), (101, DEEP_STEM + LATER101, 1024, 2048))
    for depth, trunk, third, fourth in trunks:
        refine = unit(128, 128, 1) + unit(128, 128)  # the attention and the refinement
        context = unit(fourth, 128, 1) + unit(fourth, 128) + unit(third, 128)
        fusion = unit(256, 256, 1) + 2 * 256 * 256
        heads = unit(256, 64) + conv(64, c, 1) + 2 * (unit(128, 256) + conv(256, c, 1))
        expected = spatial + trunk + context + 2 * refine + fusion + heads
        assert count("bisenet_official", num_classes=c, depth=depth) == expected


def frrus(i, c, n, chained=True):
    inputs = [i] + [c if chained else i] * (n - 1)
    return sum(unit(k + 32, c) + unit(c, c) + conv(c, 32, 1) for k in inputs)


@pytest.mark.parametrize("c", CLASSES)
def test_frrn(c):
    ends = unit(3, 48, 5) + 3 * 2 * unit(48, 48)
    shared = (
        frrus(48, 96, 3) + frrus(96, 192, 4) + frrus(192, 384, 2) + frrus(384, 384, 2)
    )
    tail = unit(128, 48) + unit(48, 48) + conv(128, 48, 1, False) + 4 * unit(48, 48)
    tail += conv(48, c, 1) + unit(48, 32, 1)
    a = frrus(384, 192, 2) + frrus(192, 192, 2) + frrus(192, 96, 2)
    assert count("frrn_a", num_classes=c) == ends + shared + a + tail
    b = frrus(384, 384, 2) + frrus(384, 192, 2) + 2 * frrus(192, 192, 2)
    b += frrus(192, 96, 2)
    assert count("frrn_b", num_classes=c) == ends + shared + b + tail


@pytest.mark.parametrize("c", CLASSES)
def test_frrn_of_pytorch_semseg(c):
    stages = functools.partial(frrus, chained=False)
    ends = unit(3, 48, 5, True) + 2 * 3 * 2 * unit(48, 48) + 48 * 32
    merge = (48 + 32) * 48 + conv(48, c, 1)
    shared = stages(48, 96, 3) + stages(96, 192, 4) + stages(192, 384, 2)
    shared += stages(384, 384, 2) + ends + merge
    a = stages(384, 192, 2) + stages(192, 192, 2) + stages(192, 48, 2)
    assert count("frrn_a", num_classes=c, variant="semseg") == shared + a
    b = stages(384, 384, 2) + stages(384, 192, 2) + 2 * stages(192, 192, 2)
    b += stages(192, 48, 2)
    assert count("frrn_b", num_classes=c, variant="semseg") == shared + b


@pytest.mark.parametrize("c", CLASSES)
def test_fcn8s(c):
    vgg = conv(3, 64) + conv(64, 64) + conv(64, 128) + conv(128, 128)
    vgg += conv(128, 256) + 2 * conv(256, 256) + conv(256, 512) + 5 * conv(512, 512)
    fully = conv(512, 4096, 7) + conv(4096, 4096, 1)
    scores = conv(4096, c, 1) + conv(512, c, 1) + conv(256, c, 1)
    ups = (2 * 16 + 256) * c * c
    assert vgg == 14_714_688  # VGG-16 without its classifier
    assert count("fcn8s", num_classes=c) == vgg + fully + scores + ups


@pytest.mark.parametrize("c", CLASSES)
def test_small_classifiers(c):
    lenet = conv(1, 6, 5) + conv(6, 16, 5) + conv(400, 120, 1) + conv(120, 84, 1)
    assert lenet + conv(84, 10, 1) == 61_706  # the published count
    assert count("lenet", num_classes=c) == lenet + conv(84, c, 1)
    caffe = conv(1, 20, 5) + conv(20, 50, 5) + conv(800, 500, 1) + conv(500, c, 1)
    assert count("lenet", num_classes=c, variant="caffe") == caffe
    conv4 = unit(1, 64, 3, True) + 3 * unit(64, 64, 3, True)
    assert count("conv4", num_classes=c) == conv4 + conv(64, c, 1)
    big = {"input_size": (84, 84), "in_channels": 3}
    expected = conv4 + 2 * 64 * 9 + conv(1600, c, 1)
    assert count("conv4", num_classes=c, **big) == expected

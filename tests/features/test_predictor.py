from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

from tests.features.toy import NAMES, colours, toy, trained, unet
from trfjax.data import stack
from trfjax.features import predictor
from trfjax.features.predictor import as_predictor, weights_digest
from trfjax.features.preprocessing import Preprocessing
from trfjax.state import apply


class Small(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.drop(self.norm(self.conv(x)))


def test_preprocessing_by_hand():
    image = np.array([[[255, 0, 51]]], np.uint8)
    plain = Preprocessing()(image)
    np.testing.assert_allclose(plain, [[[1, 0, 0.2]]], rtol=1e-6)
    turned = Preprocessing(
        mean=(1.0, 2.0, 3.0), std=(1.0, 2.0, 4.0), scale=1.0, bgr=True
    )
    np.testing.assert_allclose(turned(image), [[[50, -1, 63]]])
    assert Preprocessing(size=(4, 6))(image).shape == (4, 6, 3)
    with pytest.raises(ValueError, match=r"uint8"):
        Preprocessing()(image / 255)
    with pytest.raises(ValueError, match="3 values for images of 1 channels"):
        Preprocessing(mean=(0.1, 0.1, 0.1))(image[..., :1])
    with pytest.raises(ValueError, match="positive"):
        Preprocessing(std=(0.0,))


def test_a_trained_model_runs_as_its_card_says():
    net, (images, _) = trained(), stack(toy(2))
    source = as_predictor(net)
    assert source.input_size == (16, 24) and source.class_names == NAMES
    x = source.prepare(images)
    expected = (images / 255 - net.card.mean) / net.card.std
    np.testing.assert_allclose(x, expected, atol=1e-6)
    maps = source.maps(x, ("probs", "penultimate"))
    assert set(maps) == {"logits", "penultimate"}
    output = apply(net.model, jax.numpy.asarray(x))
    np.testing.assert_allclose(maps["logits"], output.logits, atol=1e-5)
    np.testing.assert_allclose(maps["penultimate"], output.features, atol=1e-5)


def test_models_of_one_architecture_share_a_compilation():
    x = np.zeros((2, 16, 24, 3), np.float32)
    as_predictor(trained(0)).maps(x, ("probs",))
    compiled: Any = predictor._run
    before = compiled._cache_size()
    for seed in (1, 2):
        as_predictor(trained(seed)).maps(x, ("probs",))
    assert compiled._cache_size() == before


def test_the_digest_is_of_the_weights():
    a, b = (weights_digest(trained(seed).model) for seed in (0, 1))
    assert a != b and a == weights_digest(trained(0).model)


def test_a_module_runs_in_evaluation_mode():
    net, x = Small(nnx.Rngs(0)), np.ones((2, 5, 6, 3), np.float32)
    source = as_predictor(net)
    assert source.name == "Small" and source.digest
    maps = source.maps(x, ("logits",))
    np.testing.assert_array_equal(maps["logits"], source.maps(x, ("logits",))["logits"])
    assert source.digest == as_predictor(net).digest


def test_callables_return_arrays_or_spaces():
    x = np.ones((2, 4, 5, 3), np.float32)
    assert as_predictor(colours).name == "colours"
    both = as_predictor(lambda x: {"probs": x / 3, "penultimate": x[:, 0, 0]})
    maps = both.maps(x, ("probs", "penultimate"))
    assert maps["penultimate"].shape == (2, 1, 1, 3)
    with pytest.raises(ValueError, match="gives no 'logits', only probs, penultimate"):
        both.maps(x, ("logits",))
    with pytest.raises(ValueError, match="gives no 'penultimate'"):
        as_predictor(colours).maps(x, ("penultimate",))
    with pytest.raises(ValueError, match="3 outputs for 2 class names"):
        as_predictor(colours, class_names=("a", "b")).maps(x, ("probs",))
    with pytest.raises(ValueError, match=r"expected .b, h, w, d."):
        as_predictor(lambda x: x[0]).maps(x, ("probs",))


def test_what_is_no_network():
    with pytest.raises(TypeError, match="int is no network"):
        as_predictor(3)
    with pytest.raises(ValueError, match="only torch modules"):
        as_predictor(colours, layer="head")
    with pytest.raises(ValueError, match="sizes differ"):
        images = [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)]
        as_predictor(colours).prepare(images)


def test_a_network_without_padding_is_refused():
    net = unet("paper")
    with pytest.raises(ValueError, match="labels only the central"):
        as_predictor(net).maps(np.zeros((1, 188, 188, 3), np.float32), ("probs",))


def torch_net():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 5, 3, stride=2, padding=1),
        torch.nn.BatchNorm2d(5),
        torch.nn.Dropout(0.5),
        torch.nn.Conv2d(5, 4, 1),
    )


def test_a_torch_module_with_a_named_layer():
    torch = pytest.importorskip("torch")
    net, x = torch_net(), np.ones((2, 6, 8, 3), np.float32)
    net[1].eval()
    source = as_predictor(net, layer="1")
    maps = source.maps(x, ("probs", "penultimate"))
    assert maps["logits"].shape == (2, 3, 4, 4)
    assert maps["penultimate"].shape == (2, 3, 4, 5)
    assert net.training and not net[1].training and not net[1]._forward_hooks
    with torch.no_grad():
        expected = net.eval()(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(maps["logits"].transpose(0, 3, 1, 2), expected, 1e-5)
    assert source.digest == as_predictor(torch_net()).digest


def test_torch_outputs_and_layers_that_do_not_exist():
    torch = pytest.importorskip("torch")

    class Wrapped(torch.nn.Module):
        def __init__(self, wrap):
            super().__init__()
            self.backbone, self.wrap = torch_net(), wrap

        def forward(self, x):
            return self.wrap(self.backbone(x))

    x = np.ones((1, 6, 8, 3), np.float32)
    wraps = (lambda y: y, lambda y: {"aux": y + 1, "out": y}, lambda y: (y, y + 1))
    found = [as_predictor(Wrapped(w)).maps(x, ("logits",))["logits"] for w in wraps]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    with pytest.raises(ValueError, match=r"no 'backbon.1'; near: .*backbone\.1"):
        as_predictor(Wrapped(wraps[0]), layer="backbon.1")

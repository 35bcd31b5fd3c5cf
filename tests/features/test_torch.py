"""Torch modules; skipped without the torch extra."""

import numpy as np
import pytest

from trfjax.features.predictor import as_predictor

torch = pytest.importorskip("torch")


class Net(torch.nn.Module):
    """Two layers and a choice of what is returned."""

    def __init__(self, pack=lambda logits: logits):
        super().__init__()
        torch.manual_seed(0)
        self.body = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.drop = torch.nn.Dropout(0.5)
        self.head = torch.nn.Conv2d(4, 5, 1)
        self.pack = pack

    def forward(self, images):
        return self.pack(self.head(self.drop(torch.relu(self.body(images)))))


class Named:
    def __init__(self, logits):
        self.logits = logits


IMAGES = np.random.default_rng(0).random((2, 6, 8, 3), np.float32)


def logits(net):
    return as_predictor(net).maps(IMAGES, ("logits",))["logits"]


@pytest.mark.parametrize(
    "pack",
    [
        lambda x: {"aux": -x, "out": x},
        lambda x: {"aux": -x, "logits": x},
        lambda x: {"any": x},
        lambda x: (x, -x),
        lambda x: [x, -x],
        Named,
    ],
)
def test_outputs_of_every_form(pack):
    np.testing.assert_array_equal(logits(Net(pack)), logits(Net()))


def test_maps_are_channels_last_and_keep_their_size():
    net = Net().eval()
    with torch.no_grad():
        expected = net(torch.from_numpy(IMAGES).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(logits(net), expected.transpose(0, 2, 3, 1), rtol=1e-6)


def test_modes_are_restored_and_hooks_removed():
    net = Net().train()
    net.body.eval()
    source = as_predictor(net, layer="body")
    spaces = ("logits", "penultimate")
    first, again = (source.maps(IMAGES, spaces) for _ in range(2))
    np.testing.assert_array_equal(first["logits"], again["logits"])  # no dropout
    assert first["penultimate"].shape == (2, 3, 4, 4)
    assert net.training and net.drop.training and not net.body.training
    assert not net.body._forward_hooks
    with pytest.raises(RuntimeError):
        source.maps(IMAGES[..., :2], spaces)  # two channels
    assert net.training and not net.body._forward_hooks


def test_layers_are_named_in_messages():
    with pytest.raises(ValueError, match=r"no 'haed'; near: .*head"):
        as_predictor(Net(), layer="haed")
    with pytest.raises(ValueError, match=r"near: body, drop, head"):
        as_predictor(Net(), layer="?")
    with pytest.raises(ValueError, match="layer="):
        as_predictor(Net()).maps(IMAGES, ("penultimate",))


def test_the_digest_is_of_the_weights():
    net, other = Net(), Net()
    assert as_predictor(net).digest == as_predictor(other).digest
    with torch.no_grad():
        other.head.bias += 1
    assert as_predictor(net).digest != as_predictor(other).digest

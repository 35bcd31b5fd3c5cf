import numpy as np
import pytest

import trfjax
from tests.training.cases import unet
from trfjax.cli import USAGE, run
from trfjax.models.checkpoint import save_model

SMALL = ["--size", "32", "64", "--shots", "2", "--stride", "16", "--images", "1"]


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(tmp_path / "source.safetensors", unet())
    return "source.safetensors"


def test_a_map_is_values_and_pictures(source, tmp_path, capsys):
    assert run(["map", "--sources", source, *SMALL, "--out", "out"]) == 0
    (values,) = (tmp_path / "out").glob("*-to-synthetic-kestry*.npy")
    assert np.load(values).shape == (2, 4)
    assert values.with_suffix(".png").is_file()
    assert (tmp_path / "out" / "maps.html").is_file()
    assert "2 x 4 cells of 16 pixels" in capsys.readouterr().out
    assert (tmp_path / "out" / "config.yaml").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--sources: none given"),
        (["--metric", "transrate"], "without a form in sums"),
        (["--opacity", "2"], "--opacity: 2.0 is not a number from 0 to 1"),
        (["--limits", "1", "0"], "--limits: 1 0; the first must be the lower"),
        (["--stride", "65"], "stride: 65 is larger than the maps of 32 x 64"),
        (["--out", "source.safetensors"], "cannot be written to"),
    ],
)
def test_bad_input(source, capsys, words, message):
    sources = ["--sources", source] if words else []
    assert run(["map", *sources, *SMALL, *words]) == USAGE
    assert message in capsys.readouterr().err


def test_published_features_are_mapped_without_networks(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    for place in ("source_feature/berlin", "target_feature/berlin/ulm"):
        for side in ("final", "label"):
            (tmp_path / "pub" / place / side).mkdir(parents=True)
        for i in range(2):
            label = rng.choice([0, 1, 250], (8, 12))
            logits = rng.normal(size=(3, 8, 12)).astype(np.float32)
            np.save(tmp_path / "pub" / place / "label" / f"{i}.npy", label)
            np.save(tmp_path / "pub" / place / "final" / f"{i}.npy", logits)
    words = ["--published", "pub", "--stride", "4", "--min-pixels", "4"]
    assert run(["map", *words, "--out", "out"]) == 0
    found = np.load(tmp_path / "out" / "berlin-to-ulm.npy")
    paths = [
        tmp_path / "pub" / "target_feature/berlin/ulm" / s for s in ("final", "label")
    ]
    logits, labels = (
        np.stack([np.load(p / f"{i}.npy") for i in (0, 1)]) for p in paths
    )
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = trfjax.leep(
        np.moveaxis(probs, 1, -1)[:, :4, 8:], labels[:, :4, 8:], ignore=250
    )
    np.testing.assert_allclose(found[0, 2], expected, rtol=1e-4)
    assert (tmp_path / "out" / "berlin-to-ulm-classes.png").is_file()
    # A score that is no mean over pixels has a map of cells alone.
    words += ["--metric", "h_score", "--out", "other"]
    assert run(["map", *words]) == 0
    files = {path.name for path in (tmp_path / "other").glob("*-to-*")}
    assert files == {"berlin-to-ulm.npy", "berlin-to-ulm.png"}

import numpy as np
import pytest

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
        (["--opacity", "2"], "--opacity: 2.0 is outside 0..1"),
        (["--stride", "65"], "stride: 65 is larger than the maps of 32 x 64"),
        (["--out", "source.safetensors"], "cannot be written to"),
    ],
)
def test_bad_input(source, capsys, words, message):
    sources = ["--sources", source] if words else []
    assert run(["map", *sources, *SMALL, *words]) == USAGE
    assert message in capsys.readouterr().err

"""The wheel, built from this checkout and imported away from it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILT_FROM = ("trfjax", "models", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build from a copy, so that nothing is left in the checkout."""
    checkout = tmp_path_factory.mktemp("checkout")
    skip = shutil.ignore_patterns("__pycache__")
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, checkout / name, symlinks=True, ignore=skip)
        else:
            shutil.copy(ROOT / name, checkout / name)
    # A folder that must not come along.
    (checkout / "tests" / "data").mkdir(parents=True)
    (checkout / "tests" / "data" / "test_layouts.py").touch()
    words = ["-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."]
    run = subprocess.run(
        [sys.executable, *words], cwd=checkout, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    (found,) = (checkout / "dist").glob("trfjax-*.whl")
    return found


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"trfjax/py.typed", "trfjax/reporting/report.html"} <= names
    assert "trfjax/__main__.py" in names
    assert {name.split("/")[0] for name in names} == {
        "trfjax", wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"
    }  # fmt: skip
    assert not [name for name in names if "tests" in name]
    for folder, inside in (("trfjax", "trfjax"), ("models", "trfjax/models")):
        for path in (ROOT / folder).rglob("*.py"):
            if (ROOT / "trfjax" / "models") not in path.parents:
                name = f"{inside}/{path.relative_to(ROOT / folder).as_posix()}"
                assert name in names


def test_it_runs_outside_the_checkout(wheel, tmp_path):
    place, away = tmp_path / "unpacked", tmp_path / "away"
    away.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)

    def python(*words):
        run = subprocess.run(
            [sys.executable, *words], cwd=away, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(place)},
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        return run.stdout

    files = python(
        "-c",
        "import trfjax, trfjax.models as m; print(trfjax.__file__, m.__file__); "
        "print(m.list_models()); trfjax.otce, trfjax.rank, trfjax.train",
    )
    assert files.count(str(place)) == 2 and "unet" in files
    assert "usage: trfjax COMMAND" in python("-m", "trfjax", "--help")
    assert "--pixels" in python("-m", "trfjax", "rank", "--help")

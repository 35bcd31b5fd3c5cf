import json
import math

import numpy as np
import pytest

from trfjax.errors import DataError
from trfjax.files import read_json, write_json
from trfjax.ranking.cell import SCHEMA, Cell, cell_of


def write_cell(path, cell):
    write_json(path, cell.record())


def read_cell(path):
    return cell_of(read_json(path), path)


def test_a_cell_survives_the_disk(tmp_path):
    cell = Cell(
        "boston", "quito", "otce", score=-0.5, standard_error=0.01,
        replicates=(-0.4, -0.5, -0.6), features="probs", seconds=2.5,
        warnings=("few pixels",), details={"label_joint": [[0.5, 0.5]], "repeats": 10},
    )  # fmt: skip
    write_cell(tmp_path / "cell.json", cell)
    assert read_cell(tmp_path / "cell.json") == cell


def test_a_failed_cell_is_strict_json(tmp_path):
    failed = Cell("boston", "quito", "otce", status="failed", error="NaN in row 3")
    write_cell(tmp_path / "cell.json", failed)
    text = (tmp_path / "cell.json").read_text()
    assert "NaN," not in text
    assert json.loads(text)["score"] is None
    read = read_cell(tmp_path / "cell.json")
    assert (read.status, read.error) == ("failed", "NaN in row 3")
    assert math.isnan(read.score) and math.isnan(read.standard_error)
    assert read.replicates == ()


def test_arrays_in_the_details_become_lists(tmp_path):
    details = {"label_joint": np.eye(2) / 2, "iterations": np.int64(43)}
    write_cell(tmp_path / "cell.json", Cell("a", "b", "otce", details=details))
    read = read_cell(tmp_path / "cell.json").details
    assert read == {"label_joint": [[0.5, 0], [0, 0.5]], "iterations": 43}


def test_the_interval_holds_its_share_of_the_replicates():
    values = tuple(np.linspace(0, 1, 101).tolist())
    cell = Cell("a", "b", "m", score=0.5, replicates=values)
    np.testing.assert_allclose(cell.interval(), (0.05, 0.95))
    np.testing.assert_allclose(cell.interval(level=0.5), (0.25, 0.75))
    assert cell.bootstrap_error == pytest.approx(np.std(cell.replicates, ddof=1))


@pytest.mark.parametrize("replicates", [(), (1.0,)])
def test_without_replicates_there_is_no_interval(replicates):
    cell = Cell("a", "b", "m", score=1.0, replicates=replicates)
    assert np.isnan([*cell.interval(), cell.bootstrap_error]).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema": 1, "source": "a"', "not valid JSON"),
        ("[]", "does not hold what it must"),
        ('{"schema": 99}', "damaged or changed by hand: it has no digest"),
    ],
)
def test_a_damaged_record_is_named(tmp_path, text, message):
    path = tmp_path / "cell.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_cell(path)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"schema": 99}, f"not a cell record of schema {SCHEMA}; remove it"),
        ({"schema": SCHEMA, "source": "a"}, "the field 'target' is missing"),
    ],
)
def test_a_record_of_something_else_is_named(tmp_path, record, message):
    path = tmp_path / "cell.json"
    write_json(path, record)
    with pytest.raises(DataError, match=message) as caught:
        read_cell(path)
    assert caught.value.path == path

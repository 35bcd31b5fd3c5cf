import importlib.util
import sys
from pathlib import Path

import pytest

from trfjax.studies.sweep.check import check
from trfjax.studies.sweep.written import sweep_of

SCRIPT = Path(__file__).parents[3] / "scripts" / "synthetic_study.py"


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("synthetic_study", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "synthetic_study", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("kind", "pairs"), [("full", 44), ("quick", 6)])
def test_the_study_is_a_sweep_that_can_be_run(script, kind, pairs):
    sweep = sweep_of(getattr(script, kind)(script.Config()))
    check(sweep)
    assert len(sweep.pairs()) == pairs
    assert [panel.name for panel in sweep.panels][-1] == "six views"

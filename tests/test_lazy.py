import sys

import pytest

from trfjax.lazy import Lazy

MODULES = {"plain": "colorsys", "broken": "no_such_module"}


def test_a_value_is_loaded_when_it_is_asked_for():
    sys.modules.pop("colorsys", None)
    found = Lazy("system", MODULES, "rgb_to_hsv")
    assert list(found) == ["plain", "broken"] and len(found) == 2
    assert "broken" in found and "other" not in found
    assert "colorsys" not in sys.modules
    assert found["plain"](1, 1, 1) == (0, 0, 1) and "colorsys" in sys.modules
    with pytest.raises(ImportError):
        found["broken"]


def test_values_are_set_and_taken_away():
    found = Lazy("number", {}, "VALUE")
    found["one"] = 1
    assert found["one"] == found.named("one") == 1
    del found["one"]
    assert not found
    with pytest.raises(KeyError):
        found["one"]


def test_an_unknown_name_is_told_what_there_is():
    with pytest.raises(ValueError, match="unknown system 'grey'; available: plain, b"):
        Lazy("system", MODULES, "rgb_to_hsv").named("grey")

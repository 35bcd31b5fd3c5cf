"""Properties of the small functions that everything else trusts."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trfjax.data.batches import batch_indices
from trfjax.data.dataset import spread
from trfjax.data.exif import turned
from trfjax.data.images import resize
from trfjax.data.labels import LabelMap, looks_void
from trfjax.data.paths import choose, is_dropping, natural
from trfjax.errors import DataError
from trfjax.files import digest, read_json, strict, write_json
from trfjax.npy import FREE_BYTES, MAX_BYTES, may_unpack_to
from trfjax.numbers import as_count, as_ignored
from trfjax.reading import composed, parse_json, printable

few = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
texts = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=8,
)
kinds = st.sampled_from(
    ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
)


@few
@given(st.dictionaries(texts, json_values, max_size=4))
def test_a_record_comes_back(tmp_path, value):
    value.pop("sha256", None)
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == strict(value)


@few
@given(json_values)
def test_json_is_parsed_as_it_was_written(value):
    assert parse_json("x", json.dumps(strict(value))) == strict(value)


@few
@given(json_values)
def test_strict_is_idempotent_and_the_digest_its_own(value):
    assert strict(strict(value)) == strict(value)
    assert digest(value) == digest(strict(value))


@few
@given(texts, texts)
def test_digests_of_other_parts_differ(a, b):
    assert (digest(a, b) == digest(b, a)) == (a == b)
    assert digest(a, b) != digest(a + b) or (a + b) == ""


@few
@given(texts)
def test_composing_is_idempotent(text):
    assert composed(composed(text)) == composed(text)


@few
@given(texts)
def test_what_is_printed_is_printable(text):
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)


@few
@given(st.lists(texts, max_size=6))
def test_natural_keys_order_any_names(names):
    assert sorted(sorted(names, key=natural), key=natural) == sorted(names, key=natural)


@few
@given(st.integers(0, 999), st.integers(0, 999))
def test_natural_keys_order_by_number(a, b):
    assert (natural(f"frame{a}.png") < natural(f"frame{b}.png")) == (a < b)


@few
@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12))
def test_letters_and_digits_are_no_dropping(name):
    assert (
        is_dropping(f".{name}") and is_dropping(f"._{name}") and is_dropping(f"{name}~")
    )
    assert is_dropping(name) == (name.lower() in ("recycler", "cvs", "lrtemp"))


@few
@given(st.integers(1, 200), st.data())
def test_a_range_of_fractions_and_the_rest_are_everything(n, data):
    cut = data.draw(st.floats(0, 1).map(lambda x: round(x, 3)))
    parts = []
    for text in (f"a[:{cut}]", f"a[{cut}:]"):
        try:
            parts += choose(["a"] * n, text)
        except ValueError as error:
            assert "leaves no image" in str(error)
    assert parts == list(range(n))


@few
@given(st.integers(1, 500), st.data())
def test_spread_takes_one_of_every_stretch(n, data):
    count = data.draw(st.integers(1, n))
    found = spread(n, count)
    assert len(found) == count == len(set(found)) and sorted(found) == found
    assert found[0] >= 0 and found[-1] < n


@few
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_an_epoch_shows_every_image_once(n, size, seed):
    steps = -(-n // size)
    seen = [batch_indices(n, size, step, seed=seed) for step in range(steps)]
    assert sorted(np.concatenate(seen)[:n].tolist()) == list(range(n))


@few
@given(kinds, st.integers(0, 100))
def test_integers_of_any_type_are_counts(kind, number):
    value = np.dtype(kind).type(number)
    assert as_count("n", value, least=0) == number
    assert type(as_count("n", value, least=0)) is int


@few
@given(st.floats() | st.booleans() | texts | st.none())
def test_anything_else_is_no_count(value):
    with pytest.raises(TypeError, match="n: expected an int"):
        as_count("n", value)


@few
@given(st.sets(st.integers(-5, 300), min_size=1), kinds)
def test_ignored_labels_in_any_collection(values, kind):
    del kind
    for given_as in (values, list(values), tuple(values), np.array(sorted(values))):
        assert set(as_ignored(given_as).tolist()) == values
    one = min(values)
    assert as_ignored(one).tolist() == as_ignored(np.array(one)).tolist() == [one]


@few
@given(st.integers(0, 1 << 50))
def test_the_limit_of_unpacking_is_bounded_and_grows(size):
    assert FREE_BYTES <= may_unpack_to(size) <= may_unpack_to(size + 1) <= MAX_BYTES


@few
@given(st.integers(1, 8), st.integers(1, 6), st.integers(1, 6))
def test_turning_moves_pixels_and_changes_none(tag, height, width):
    pixels = np.arange(height * width).reshape(height, width, 1)
    found = turned(pixels, tag)
    shape = (width, height) if tag > 4 else (height, width)
    assert found.shape[:2] == shape
    assert sorted(found.ravel().tolist()) == list(range(height * width))
    back = 14 - tag if tag in (6, 8) else tag
    np.testing.assert_array_equal(turned(found, back), pixels)


@few
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_resized_labels_are_labels_that_were_there(h, w, height, width):
    label = np.arange(h * w, dtype=np.int32).reshape(h, w)
    image = np.zeros((h, w, 3), np.uint8)
    image, found = resize(image, label, (height, width))
    assert found.shape == image.shape[:2] == (height, width)
    assert set(found.ravel().tolist()) <= set(label.ravel().tolist())


@few
@given(st.lists(st.integers(0, 300), min_size=1, max_size=20), kinds)
def test_a_label_map_maps_or_refuses(values, kind):
    stored = np.array([v for v in values if v <= np.iinfo(kind).max] or [0], kind)
    labels = LabelMap(("a", "b", "c"))
    try:
        found = labels(stored)
    except ValueError as error:
        assert "unknown ids" in str(error)
        assert any(v > 2 and v != 255 for v in stored.tolist())
    else:
        np.testing.assert_array_equal(found, stored)


@few
@given(st.sets(st.integers(0, 200), max_size=9))
def test_classes_do_not_look_void_and_negative_ids_do(ids):
    assert looks_void(sorted(ids)) is None
    assert looks_void(sorted({-1, *ids})) == -1
    if not ids or max(ids) < 127:
        assert looks_void(sorted({*ids, 255})) == 255


@few
@given(st.binary(max_size=60))
def test_bytes_are_json_or_a_data_error(content):
    try:
        parse_json("x", content)
    except DataError as error:
        assert error.path.name == "x"

import threading
import time

import numpy as np
import pytest

from trfjax.data import Dataset, LabelMap, batch_indices, load_batch, prefetch, stack


def toy(shapes, scalar=False):
    def read(position):
        image = np.full((*shapes[position], 3), position, np.uint8)
        label = np.full(() if scalar else shapes[position], position % 2, np.int32)
        return image, label

    ids = tuple(f"i{i}" for i in range(len(shapes)))
    return Dataset("toy", LabelMap(("a", "b")), ids, read, ids, "")


@pytest.mark.parametrize(("n", "size"), [(10, 3), (10, 10), (3, 8), (1, 4), (7, 1)])
def test_every_image_once_per_epoch(n, size):
    steps = [batch_indices(n, size, step, seed=5) for step in range(4 * n)]
    assert all(len(batch) == size for batch in steps)
    order = np.concatenate(steps)
    for epoch in range(len(order) // n):
        assert sorted(order[epoch * n : (epoch + 1) * n]) == list(range(n))


def test_the_order_depends_on_seed_and_epoch_only():
    first = [batch_indices(50, 50, step, seed=1).tolist() for step in (0, 1)]
    assert first[0] != first[1]
    assert first[0] != batch_indices(50, 50, 0, seed=2).tolist()
    late = batch_indices(50, 7, 123_456, seed=1)
    np.testing.assert_array_equal(late, batch_indices(50, 7, 123_456, seed=1))


def test_impossible_batches():
    for n, size, step, seed in [
        (0, 1, 0, 0),
        (1, 0, 0, 0),
        (1, 1, -1, 0),
        (1, 1, 0, -1),
    ]:
        with pytest.raises(ValueError, match="must"):
            batch_indices(n, size, step, seed=seed)


def test_batches_of_maps_and_of_classes():
    images, labels = load_batch(toy([(2, 4)] * 5), np.array([4, 1]))
    assert images.shape == (2, 2, 4, 3) and images.dtype == np.uint8
    assert labels.shape == (2, 2, 4) and labels.dtype == np.int32
    assert images[:, 0, 0, 0].tolist() == [4, 1]
    images, labels = stack(toy([(2, 4)] * 3, scalar=True))
    assert labels.tolist() == [0, 1, 0] and labels.dtype == np.int32


def test_different_sizes_name_the_remedy():
    with pytest.raises(ValueError, match=r"i2 is \(3, 4, 3\).*size="):
        stack(toy([(2, 4), (2, 4), (3, 4)]))
    with pytest.raises(ValueError, match="none"):
        load_batch(toy([(2, 4)]), [])


def readers():
    return [t for t in threading.enumerate() if t.name == "trfjax-prefetch"]


def test_prefetch_keeps_order_and_ends_its_thread():
    assert list(prefetch(range(100), depth=3)) == list(range(100))
    assert not readers()


def test_prefetch_reads_ahead_but_not_further():
    read = []

    def source():
        for i in range(50):
            read.append(i)
            yield i

    ahead = prefetch(source(), depth=2)
    assert next(ahead) == 0
    time.sleep(0.3)
    assert 3 <= len(read) <= 4  # two wait, one more is in the reader's hand
    ahead.close()  # type: ignore[attr-defined]
    assert not readers()


def test_prefetch_hands_over_exceptions_in_their_place():
    def source():
        yield 1
        raise OSError("disk gone")

    ahead = prefetch(source())
    assert next(ahead) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(ahead)
    assert not readers()


def test_leaving_the_loop_early_ends_the_thread():
    for value in prefetch(iter(int, 1), depth=1):
        assert value == 0
        break
    deadline = time.time() + 5
    while readers() and time.time() < deadline:
        time.sleep(0.01)
    assert not readers()


def test_prefetch_that_is_never_started_starts_nothing():
    prefetch(range(3))
    assert not readers()
    with pytest.raises(ValueError, match="depth"):
        prefetch(range(3), depth=0)

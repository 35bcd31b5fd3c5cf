import numpy as np
import pytest

from trfjax.atoms import sample as module
from trfjax.atoms.compress import compress
from trfjax.atoms.sample import Reservoir, Sample, mixed


def rows(n, image=0, start=0):
    numbers = np.arange(start, start + n)
    return Sample(
        features=numbers[:, None].astype(np.float32),
        labels=numbers % 3,
        atom=numbers % 5,
        image=np.full(n, image),
    )


def test_a_small_set_is_kept_whole_and_in_another_order():
    held = Reservoir(0)
    held.add(rows(20))
    held.add(rows(30, start=20))
    found = held.sample().features[:, 0]
    assert sorted(found) == list(range(50)) and list(found) != sorted(found)


def test_every_row_is_as_likely_as_any_other(monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 50)
    firsts = np.zeros(400)
    for seed in range(200):
        held = Reservoir(seed)
        for start in range(0, 400, 80):
            held.add(rows(80, start=start))
        found = held.sample()
        assert len(found) == 50
        np.testing.assert_array_equal(found.labels, found.features[:, 0] % 3)
        firsts[found.features[:25, 0].astype(int)] += 1
    # 5,000 draws over five parts: 1,000 +- 28 each; five standard deviations.
    parts = firsts.reshape(5, 80).sum(axis=1)
    assert np.abs(parts - 1000).max() < 140


def test_the_sample_of_a_union_holds_both_in_proportion():
    found = mixed(rows(300), rows(900, start=300), 0.25)
    first = (found.features[:, 0] < 300).sum()
    assert len(found) == 1200 and first == 300
    few = mixed(rows(300), rows(30, start=300), 0.5)
    assert len(few) == 60 and (few.features[:, 0] < 300).sum() == 30


def test_images_are_taken_as_often_as_they_are_named():
    both = mixed(rows(4), rows(6, image=1, start=4), 0.4)
    found = both.of_images(np.array([1, 0, 1]))
    assert len(found) == 16
    assert sorted(np.bincount(found.image)) == [4, 6, 6]
    assert set(found.features[found.image == 1, 0]) == {0, 1, 2, 3}
    assert not len(both.of_images(np.array([], np.int64)))


def test_pixels_know_the_atom_they_went_to():
    rng = np.random.default_rng(0)
    x = rng.dirichlet(np.ones(3), 3000).astype(np.float32)
    image = np.arange(3000) % 4
    atoms = compress(x, np.arange(3000) % 2, image=image, atoms=16)
    few = atoms.reduce(4)
    selected = atoms.select([2])
    for found in (atoms, few, selected, atoms.merge(renamed(few))):
        held = found.sample
        counts = np.bincount(held.atom, minlength=len(found))
        # All 3,000 pixels are in the sample: counts are those of the atoms.
        np.testing.assert_array_equal(counts, found.counts.sum(axis=(0, 2)))
        sums = np.zeros_like(found.points)
        np.add.at(sums, held.atom, held.features)
        means = sums / np.maximum(counts, 1)[:, None]
        if found is not selected:  # its points are means of all images
            np.testing.assert_allclose(means, found.points, atol=1e-4)


def renamed(atoms):
    names = tuple(f"other {name}" for name in atoms.image_ids)
    return type(atoms)(
        points=atoms.points,
        means=atoms.means,
        counts=atoms.counts,
        scatter=atoms.scatter,
        sample=atoms.sample,
        image_ids=names,
    )


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="columns must be of one length"):
        Sample(*(np.zeros(n, int) for n in (3, 3, 2, 3)))

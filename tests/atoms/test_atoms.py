import dataclasses

import numpy as np
import pytest

from trfjax.atoms.atoms import Atoms
from trfjax.atoms.compress import Compressor, compress
from trfjax.atoms.moments import moments_of
from trfjax.errors import DataError


def cloud(n=400, images=4, classes=3, d=5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.dirichlet(np.ones(d) * 0.5, n).astype(np.float32)
    return x, rng.integers(0, classes, n), rng.integers(0, images, n)


def made(atoms=32, **settings):
    x, y, image = cloud(**settings)
    return compress(x, y, image=image, atoms=atoms, num_classes=3), (x, y, image)


def test_what_is_counted_is_what_was_given():
    atoms, (_, y, image) = made()
    assert len(atoms) == 32 and atoms.pixels == 400
    counts = np.zeros((4, 3))
    np.add.at(counts, (image, y), 1)
    np.testing.assert_array_equal(atoms.counts.sum(axis=1), counts)
    assert atoms.image_ids == ("0", "1", "2", "3")


def test_first_and_second_moments_are_kept_exactly():
    atoms, (x, y, _) = made()
    mass = atoms.histograms()
    weights = mass.sum(axis=1).astype(float)
    np.testing.assert_allclose(weights @ atoms.points, x.mean(axis=0), atol=1e-6)
    # Total scatter is that between the atoms and that within them.
    total = ((x - x.mean(axis=0)) ** 2).sum(axis=1).mean()
    between = weights @ ((atoms.points - x.mean(axis=0)) ** 2).sum(axis=1)
    assert between + atoms.mean_scatter() == pytest.approx(total, rel=1e-5)
    for label in range(3):
        mean = (mass[:, label, None] * atoms.means[:, label]).sum(0)
        expected = x[y == label].sum(axis=0) / len(x)
        np.testing.assert_allclose(mean, expected, atol=1e-6)


def test_more_atoms_than_pixels_are_the_pixels():
    x, y, image = cloud(n=30)
    atoms = compress(x, y, image=image, atoms=512, num_classes=3)
    assert len(atoms) == 30 and atoms.mean_scatter() == 0
    assert {tuple(p) for p in atoms.points.tolist()} == {tuple(p) for p in x.tolist()}


def test_more_atoms_than_distinct_pixels():
    x = np.repeat(np.eye(3, dtype=np.float32), 2000, axis=0)
    atoms = compress(x, np.arange(6000) % 2, atoms=64)
    assert 3 <= len(atoms) <= 64 and atoms.mean_scatter() < 1e-12
    assert len({tuple(p) for p in atoms.points.tolist()}) == 3


def test_maps_are_an_image_each_and_ignored_pixels_are_left_out():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 4, 5, 2)).astype(np.float32)
    y = rng.integers(0, 2, (3, 4, 5))
    y[1] = 255
    x[1] = np.nan
    atoms = compress(x, y, atoms=8)
    assert len(atoms.image_ids) == 3 and atoms.pixels == 40
    assert atoms.counts[1].sum() == 0 and atoms.facts["classes"] == [0, 1]


def test_more_atoms_have_less_scatter():
    scatter = [float(made(m, n=3000)[0].mean_scatter()) for m in (8, 32, 128)]
    assert scatter[0] > 1.5 * scatter[1] > 2 * scatter[2]


def test_reducing_keeps_the_moments():
    atoms, (x, _, _) = made(64, n=2000)
    few = atoms.reduce(8)
    assert len(few) == 8 and few.pixels == 2000
    np.testing.assert_allclose(
        few.counts.sum(axis=1), atoms.counts.sum(axis=1), rtol=1e-6
    )
    weights = few.histograms().sum(axis=1).astype(float)
    np.testing.assert_allclose(weights @ few.points, x.mean(axis=0), atol=1e-6)
    between = weights @ ((few.points - x.mean(axis=0)) ** 2).sum(axis=1)
    total = ((x - x.mean(axis=0)) ** 2).sum(axis=1).mean()
    assert between + few.mean_scatter() == pytest.approx(total, rel=1e-4)
    assert atoms.reduce(64) is atoms
    with pytest.raises(ValueError, match="count: 0"):
        atoms.reduce(0)


def test_merging_is_compressing_together():
    x, y, image = cloud()
    first, second = image < 2, image >= 2
    parts = [
        compress(x[p], y[p], image=image[p], atoms=16, num_classes=3)
        for p in (first, second)
    ]
    both = parts[0].merge(parts[1])
    assert len(both) == 32 and both.pixels == 400 and len(both.image_ids) == 4
    np.testing.assert_allclose(
        both.histograms().sum(axis=1) @ both.points, x.mean(axis=0), atol=1e-6
    )
    with pytest.raises(ValueError, match="2 images are in both"):
        both.merge(parts[0])
    other = compress(x[first], y[first], atoms=4, num_classes=4)
    with pytest.raises(ValueError, match="3 and 4 classes"):
        both.merge(other)


def test_multiplicities_weigh_images():
    atoms, (_, y, image) = made()
    mass = atoms.histograms(np.array([[2.0, 0, 1, 1], [0, 1, 0, 0]]))
    chosen = np.concatenate([y[image == 0], y[image == 0], y[image >= 2]])
    share = np.bincount(chosen, minlength=3) / len(chosen)
    np.testing.assert_allclose(mass[0].sum(axis=0), share, atol=1e-6)
    twice = atoms.select([0, 0, 2, 3])
    np.testing.assert_allclose(twice.histograms(), mass[0], atol=1e-6)
    alone = atoms.mean_scatter(np.array([0.0, 1, 0, 0]))
    assert alone == pytest.approx(atoms.scatter[1].sum() / (image == 1).sum())


def test_files_give_back_what_was_saved(tmp_path):
    atoms, _ = made()
    atoms.save(tmp_path / "a.safetensors")
    read = Atoms.load(tmp_path / "a.safetensors")
    for name in ("points", "means", "counts", "scatter"):
        np.testing.assert_array_equal(getattr(read, name), getattr(atoms, name))
    assert read.image_ids == atoms.image_ids and read.facts == atoms.facts


def test_other_files_are_refused(tmp_path):
    from trfjax.files import write_arrays

    write_arrays(tmp_path / "x.safetensors", {"points": np.zeros((1, 1))})
    with pytest.raises(DataError, match="holds no atoms"):
        Atoms.load(tmp_path / "x.safetensors")
    whole = tmp_path / "a.safetensors"
    made()[0].save(whole)
    (tmp_path / "cut.safetensors").write_bytes(whole.read_bytes()[:200])
    with pytest.raises(DataError, match="damaged"):
        Atoms.load(tmp_path / "cut.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_ids": ("a",)}, "counts: shape"),
        ({"points": np.full((32, 5), np.nan, "f4")}, "points: NaN"),
        ({"counts": np.zeros((4, 32, 3), "f4")}, "no pixel has a label"),
        ({"counts": -np.ones((4, 32, 3), "f4")}, "negative"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(made()[0], **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"atoms": 0}, "atoms: 0"),
        ({"labels": np.zeros(7, int)}, "labels: shape"),
        ({"labels": np.full(400, 255)}, "nothing is left"),
        ({"labels": np.full(400, 9)}, "outside"),
        ({"image": np.zeros(3, int)}, "image: 3 entries for 400 rows"),
        ({"features": np.full((400, 5), np.inf)}, "NaN or infinite"),
    ],
)
def test_bad_input_is_refused(change, message):
    x, y, image = cloud()
    given = {"features": x, "labels": y, "image": image, "num_classes": 3} | change
    with pytest.raises(ValueError, match=message):
        compress(given.pop("features"), given.pop("labels"), **given)


def test_many_images_share_the_room_for_finer_atoms():
    assert Compressor(1, 3).fine == 512
    assert Compressor(2, 3).fine == 256  # all together as many as there shall be
    assert Compressor(20, 3).fine == 128
    assert Compressor(1000, 3).fine == 65
    assert Compressor(100_000, 3).fine == 32


def test_moments_of_an_image():
    x, y, _ = cloud(n=50)
    found = moments_of(x, y, 4)
    assert found.counts.shape == (1, 4) and found.counts[0, 3] == 0
    np.testing.assert_allclose(found.sums[0, 1], x[y == 1].sum(0, dtype=float))
    exact = x.astype(float)
    np.testing.assert_allclose(found.products[0], exact.T @ exact)
    counts, sums, _ = found.pooled(np.array([[3.0]]))
    np.testing.assert_allclose(counts[0], 3 * found.counts[0])
    np.testing.assert_allclose(sums[0], 3 * found.sums[0])

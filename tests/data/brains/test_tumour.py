import numpy as np

from trfjax.data.brains.anatomy import Head, grid
from trfjax.data.brains.fields import Field, cloud
from trfjax.data.brains.tissue import TUMOUR, Tissue
from trfjax.data.brains.tumour import Tumour, grow, pushed

HEAD = Head.draw(False, np.random.default_rng(0))
TUMOR = Tumour(
    centre=(30.0, 0.0, 0.0), stretch=(1.0, 1.0, 1.0), core=12.0, rim=4.0, oedema=12.0,
    push=0.5,
)  # fmt: skip


def test_oedema_follows_white_matter_and_stops_at_fluid_and_midline():
    where = grid(np.zeros(1), 208)  # 1 mm
    x, y, _ = where
    tissue = np.where(y > 0, Tissue.WM, Tissue.GM).astype(np.uint8)
    tissue[(x > 40) & (y > 0)] = Tissue.CSF
    grown = grow(TUMOR, tissue, where, np.random.default_rng(0))
    wet = grown == Tissue.ED
    assert wet[(y > 0)].sum() > 1.5 * wet[(y < 0) & (x < 40)].sum() > 0
    assert not wet[(x > 40) & (y > 0)].any()
    assert not np.isin(grown[x < 0], TUMOUR).any()
    # The parts lie within one another: 8 mm of necrosis, a rim to 12 mm, roughly.
    away = np.hypot(x - 30, y)
    assert (grown[away < 3] == Tissue.NCR).all()
    assert (grown[(away > 18) & (y < -5)] != Tissue.ET).all()


def test_what_the_tumour_pushes_keeps_its_volume():
    """Shells before and after hold the same volume, less what the tumour adds."""
    s = np.array([14.0, 16.0, 20.0])
    zero = np.zeros(3)
    x, y, z = pushed(HEAD, TUMOR, (30 - s, zero, zero))  # inwards, far from the skull
    before = 30 - x
    np.testing.assert_allclose(before**3, s**3 - 0.5 * 12**3, rtol=1e-9)
    assert (y == 0).all() and (z == 0).all()


def test_the_skull_gives_no_way():
    edge = np.array([HEAD.width * 1.02])
    x, _, _ = pushed(HEAD, TUMOR, (edge, 0 * edge, 0 * edge))
    np.testing.assert_array_equal(x, edge)


def test_a_field_has_its_wavelength():
    """Sign changes along a line: two in a wave, for a band around its frequency."""
    field = Field.draw(20.0, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    line = np.arange(0, 150, 0.5)
    changes = []
    for _ in range(40):
        start, along = rng.uniform(0, 100, 3), rng.standard_normal(3)
        along /= np.linalg.norm(along)
        x, y, z = (s + a * line for s, a in zip(start, along, strict=True))
        changes.append(np.diff(np.sign(field((x, y, z)))).astype(bool).sum())
    # A plane wave seen at a random angle has fewer, isotropic noise 2 / sqrt(3) of it.
    expected = 2 * 150 / 20 / np.sqrt(3)
    assert 0.7 * expected < np.mean(changes) < 1.4 * expected


def test_a_cloud_is_slow_and_of_unit_size():
    found = cloud((3, 60, 60), (1.0, 12.0, 12.0), np.random.default_rng(0))
    assert found.shape == (3, 60, 60) and 0.6 < found.std() < 1.4
    assert np.abs(np.diff(found, axis=2)).mean() < 0.15

"""Problems of different sizes give what they give one by one."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from tests.transport.reference import entropic_plan, label_joint, labelled_clouds
from trfjax.transport.problem import Problem
from trfjax.transport.ragged import couple_ragged

SHAPE = 150


def padded(rows, places):
    out = np.zeros((SHAPE, *rows.shape[1:]), np.float32)
    out[places] = rows
    return out


def test_each_problem_equals_its_reference_wherever_its_padding_stands():
    rng = np.random.default_rng(0)
    problems, joints, columns = [], [], []
    for seed, (n, m) in enumerate([(40, 60), (130, 20), (64, 64), (150, 150)]):
        x, ys, y, yt = labelled_clouds(seed, n, m, probs=True)
        a, b = rng.dirichlet(np.full(n, 3.0)), rng.dirichlet(np.full(m, 3.0))
        plan, _ = entropic_plan(x, y, a, b, 0.1, tolerance=1e-9)
        joints.append(label_joint(plan, ys, yt, 4, 3))
        left, right = (np.sort(rng.permutation(SHAPE)[:k]) for k in (n, m))
        columns.append(padded(b, right))
        problems.append(
            Problem(
                padded(x, left),
                padded(y, right),
                padded(a, left),
                padded(b, right),
                padded(np.eye(4)[ys], left),
                padded(np.eye(3)[yt], right),
            )
        )
    batch = Problem(
        *(
            jnp.asarray(np.stack([getattr(p, f.name) for p in problems]))
            for f in dataclasses.fields(Problem)
        )
    )
    found = couple_ragged(batch, epsilon=0.1)
    assert found.converged.all()
    # The marginals may be wrong by 1e-3 in all.
    np.testing.assert_allclose(found.joint, joints, atol=5e-4)
    assert np.abs(found.shares.sum(axis=2) - np.stack(columns)).sum(axis=1).max() < 1e-3


def test_potentials_stand_where_their_points_stood():
    """Of problems of two sizes: the plan that they make has the right marginals."""
    problems = []
    for seed, (n, m) in enumerate([(40, 30), (100, 20)]):
        x, ys, y, yt = labelled_clouds(seed, n, m, probs=True)
        rng = np.random.default_rng(seed)
        left, right = (np.sort(rng.permutation(SHAPE)[:k]) for k in (n, m))
        parts = (
            x,
            y,
            np.full(n, 1 / n),
            np.full(m, 1 / m),
            np.eye(4)[ys],
            np.eye(3)[yt],
        )
        places = (left, right) * 3
        problems.append([padded(p, w) for p, w in zip(parts, places, strict=True)])
    arrays = [np.stack(part) for part in zip(*problems, strict=True)]
    found = couple_ragged(Problem(*map(jnp.asarray, arrays)), epsilon=0.1)
    x, y, a, b, *_ = (part.astype(float) for part in arrays)
    for k in range(2):
        centred = x[k] - a[k] @ x[k], y[k] - b[k] @ y[k]
        logs = 20 * centred[0] @ centred[1].T
        logs += np.asarray(found.log_scale[k])[:, None] + np.asarray(
            found.log_offset[k]
        )
        plan = np.exp(logs)
        assert np.abs(plan.sum(axis=1) - a[k]).sum() < 1e-3  # the tolerance
        assert np.abs(plan.sum(axis=0) - b[k]).sum() < 1e-3
        assert not plan[a[k] == 0].any() and not plan[:, b[k] == 0].any()

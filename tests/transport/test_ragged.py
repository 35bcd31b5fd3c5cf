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

"""An independent float64 solution of the entropic problem, from the definition."""

import numpy as np
from scipy.special import logsumexp


def entropic_plan(x, y, a, b, epsilon, *, steps=200_000, tolerance=1e-12):
    """Log-domain Sinkhorn on the plain potentials; weights must be positive."""
    x, y, a, b = (np.asarray(v, np.float64) for v in (x, y, a, b))
    cost = ((x[:, None] - y[None]) ** 2).sum(-1)
    f, g = np.zeros(len(x)), np.zeros(len(y))
    for _ in range(steps):
        f = epsilon * (np.log(a) - logsumexp((g - cost) / epsilon, axis=1))
        g = epsilon * (np.log(b) - logsumexp((f[:, None] - cost) / epsilon, axis=0))
        plan = np.exp((f[:, None] + g - cost) / epsilon)
        if np.abs(plan.sum(1) - a).sum() < tolerance:
            return plan, cost
    raise AssertionError("the reference did not converge")


def label_joint(plan, ys, yt, sources, targets):
    """The joint by a double loop over labels."""
    joint = np.zeros((sources, targets))
    for s in range(sources):
        for t in range(targets):
            joint[s, t] = plan[np.ix_(ys == s, yt == t)].sum()
    return joint


def conditional_entropy(joint):
    """H(column | row), cell by cell."""
    joint = joint / joint.sum()
    total = 0.0
    for row in joint:
        for cell in row:
            if cell > 0:
                total -= cell * np.log(cell / row.sum())
    return total


def labelled_clouds(seed, n, m, *, d=5, classes=(4, 3), spread=1.0, probs=False):
    """Clouds whose position depends on the label, float32."""
    rng = np.random.default_rng(seed)
    ys, yt = (rng.integers(0, c, k) for c, k in zip(classes, (n, m), strict=True))
    centres = rng.normal(size=(max(classes), d)) * 2
    x = spread * (centres[ys] + rng.normal(size=(n, d)))
    y = spread * (centres[yt] + rng.normal(size=(m, d)) + 0.5)
    if probs:
        x, y = (np.exp(z - logsumexp(z, axis=1, keepdims=True)) for z in (x, y))
    return x.astype(np.float32), ys, y.astype(np.float32), yt

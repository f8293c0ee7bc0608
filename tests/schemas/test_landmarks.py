"""Geometry of landmarks: fits, and their inverses."""

import numpy as np

from fsh.schemas.landmarks import apply, inverse, similarity


def test_similarity_recovers_what_made_it():
    random = np.random.default_rng(0)
    points = random.normal(size=(10, 2))
    matrix = np.array([[1.2, -0.5, 3.0], [0.5, 1.2, -2.0]])
    np.testing.assert_allclose(similarity(points, apply(matrix, points)), matrix)
    both = apply(inverse(matrix), apply(matrix, points))
    np.testing.assert_allclose(both, points)

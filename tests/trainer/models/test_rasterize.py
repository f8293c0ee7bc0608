"""Rasterized meshes: the nearest triangle, exact inside it, whatever its place and winding."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fsh.trainer.models.rasterize import rasterize

SQUARE = torch.tensor([[0, 1, 2], [2, 1, 3]])


def corners(low: float, high: float, depth: float = 0.0) -> torch.Tensor:
    """(4, 3): a square of the picture, parallel to it."""
    places = [(low, low), (high, low), (low, high), (high, high)]
    return torch.tensor([(x, y, depth) for x, y in places])


def test_a_square_covers_the_pixels_whose_centres_are_in_it():
    shown = rasterize(corners(0.25, 0.75)[None], SQUARE, 16)
    wanted = torch.zeros(16, 16, dtype=torch.bool)
    wanted[4:12, 4:12] = True
    assert torch.equal(shown.covered[0], wanted)
    assert (shown.weights[0][~wanted] == 0).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_linear_values_are_interpolated_exactly(seed):
    vertices = torch.from_numpy(np.random.default_rng(seed).uniform(-0.3, 1.3, (2, 6, 3))).float()
    triangles = torch.tensor([[0, 1, 2], [3, 5, 4]])
    shown = rasterize(vertices, triangles, 12)
    found = shown.interpolate(vertices[..., :2], triangles)
    centres = (torch.arange(12) + 0.5) / 12
    wanted = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1).expand(2, -1, -1, -1)
    assert torch.allclose(found[shown.covered], wanted[shown.covered], atol=2e-3)
    assert (found[~shown.covered] == 0).all()


def test_of_several_triangles_the_nearest_is_seen():
    vertices = torch.cat([corners(0, 1, 0.2), corners(0, 0.5, -0.2), corners(0.25, 1, 0.4)])
    triangles = torch.cat([SQUARE, SQUARE + 4, SQUARE + 8])
    shown = rasterize(vertices[None], triangles, 8).triangles[0] // 2
    assert (shown[:4, :4] == 1).all()
    assert (shown[4:] == 0).all() and (shown[:, 4:] == 0).all()


def test_both_windings_are_drawn_and_empty_triangles_are_not():
    vertices = torch.cat([corners(0.1, 0.9), torch.full((3, 3), 0.5)])[None]
    turned = SQUARE.flip(1)
    flat = torch.tensor([[4, 5, 6]])
    there = rasterize(vertices, torch.cat([turned, flat]), 10)
    assert there.covered.sum() == 64 and (there.triangles != 2).all()


def test_a_batch_gives_what_each_gives_alone_and_places_outside_are_left_out():
    many = torch.stack([corners(-2, -1), corners(-0.5, 0.5), corners(0.2, 3)])
    together = rasterize(many, SQUARE, 9)
    for i, one in enumerate(many):
        alone = rasterize(one[None], SQUARE, 9)
        assert torch.equal(together.triangles[i], alone.triangles[0])
        assert torch.equal(together.weights[i], alone.weights[0])
    assert not together.covered[0].any() and together.covered[1, :4, :4].all()

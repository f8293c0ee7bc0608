"""Augmented episodes: whole, repeatable, and with landmarks that still fit."""

from __future__ import annotations

import numpy as np
import torch

from fsh.schemas.faces.mesh import MESH_MIRROR, PLACES
from fsh.trainer.data.augmentation import (
    ColorRanges,
    augment_episodes,
    augment_windows,
    mirrored_points,
)
from fsh.trainer.data.landmark_images import draw_landmarks

#: The 68 points as a mirror shows them, in iBUG order.
MIRRORED = [
    *range(16, -1, -1),
    *range(26, 16, -1),
    *(27, 28, 29, 30, 35, 34, 33, 32, 31),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65),
]


def episodes(count: int = 16) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    random = np.random.default_rng(0)
    points = random.uniform(8, 56, (count, 2, 68, 2)).astype(np.float32)
    lines = draw_landmarks(points, 64)
    images = torch.from_numpy(random.uniform(-1, 1, (count, 2, 64, 64, 3))).float()
    return images, torch.from_numpy(lines).float() / 255, points


def test_the_same_numbers_give_the_same_episodes():
    images, lines, _ = episodes()
    one, two, other = (
        augment_episodes(images, lines, seed) for seed in ((0, 5, 0), (0, 5, 0), (0, 6, 0))
    )
    assert all(torch.equal(a, b) for a, b in zip(one[:2], two[:2], strict=True))
    assert not torch.equal(one[0], other[0])
    assert one[0].abs().max() <= 1


def test_a_mirrored_landmark_image_is_that_of_the_mirrored_face():
    _, lines, points = episodes()
    _, got, _ = augment_episodes(torch.zeros(len(lines), 2, 64, 64, 3), lines, (0, 0, 0))
    mirror = points[:, :, MIRRORED] * (-1, 1) + (63, 0)
    wanted = torch.from_numpy(draw_landmarks(mirror.astype(np.float32), 64))
    kinds = []
    for i in range(len(lines)):
        same = torch.equal(got[i], lines[i])
        # Strokes drawn from the other end differ at single pixels, and so do crossings.
        close = (got[i] - wanted[i].float() / 255).abs().mean() < 0.05
        kinds.append((same, bool(close)))
    assert set(kinds) == {(True, False), (False, True)}


def test_all_frames_of_an_episode_change_alike():
    flat = torch.full((4, 3, 8, 8, 3), -0.5)
    flat[..., 0] = -0.2
    changed, *_ = augment_episodes(
        flat, torch.zeros_like(flat), (0, 1, 0), ColorRanges(brightness=0)
    )
    assert (changed == changed[:, :1, :1, :1]).all()
    assert len({tuple(c.tolist()) for c in changed[:, 0, 0, 0]}) == 4
    gray = torch.full((4, 1, 8, 8, 3), 0.0)
    stays = augment_episodes(gray, gray, (0, 1, 0), ColorRanges(gain=0, brightness=0))[0]
    torch.testing.assert_close(stays, gray)


def test_what_is_real_is_mirrored_with_its_episode():
    real = torch.tensor([0.25, 0.125, 1.0, 0.75]).repeat(16, 2, 1)
    # White where it is real.
    images = torch.full((16, 2, 8, 8, 3), -1.0)
    images[:, :, 1:6, 2:] = 1
    plain = ColorRanges(gain=0, saturation=0, brightness=0, grey=0)
    made, *_ = augment_episodes(images, torch.zeros_like(images), (0, 5, 0), plain)
    moved = augment_windows(real, (0, 5, 0))
    assert len({tuple(edges.tolist()) for edges in moved[:, 0]}) == 2
    for image, (left, top, right, bottom) in zip(made[:, 1], (moved[:, 1] * 8).int(), strict=True):
        white = torch.zeros(8, 8, dtype=torch.bool)
        white[top:bottom, left:right] = True
        assert torch.equal(image[..., 0] > 0, white)


def test_meshes_are_mirrored_with_their_episodes():
    images, lines, points = episodes()
    meshes = torch.zeros(16, 2, 478, 3)
    meshes[..., PLACES, :2] = torch.from_numpy(points) / 64
    plain = ColorRanges(gain=0, saturation=0, brightness=0, grey=0)
    made, _, moved = augment_episodes(images, lines, (0, 5, 0), plain, meshes)
    mirrored = [not torch.allclose(a, b, atol=1e-5) for a, b in zip(images, made, strict=True)]
    assert 0 < sum(mirrored) < 16
    for was, now, other in zip(meshes, moved, mirrored, strict=True):
        assert torch.equal(now, mirrored_points(was) if other else was)
    twice = mirrored_points(mirrored_points(meshes))
    assert torch.allclose(twice, meshes, atol=1e-5)
    places = {int(p): i for i, p in enumerate(PLACES)}
    assert [places[int(MESH_MIRROR[p])] for p in PLACES] == MIRRORED


def test_some_episodes_are_grey_all_of_them_and_no_others():
    images, lines, _ = episodes(64)
    changed, *_ = augment_episodes(images, lines, (0, 2, 0), ColorRanges(grey=0.5))
    apart = (changed.amax(-1) - changed.amin(-1)).flatten(1)
    grey = apart.amax(1) < 1e-5
    assert 16 < int(grey.sum()) < 48 and apart[~grey].mean(1).min() > 0.05
    none, *_ = augment_episodes(images, lines, (0, 2, 0), ColorRanges(grey=0))
    assert (none.amax(-1) - none.amin(-1)).flatten(1).amax(1).min() > 0.1
    assert torch.equal(none[~grey], changed[~grey])

"""Faces of other scenes in the colors of this one."""

from __future__ import annotations

from torch import Tensor


def face_colors(image: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (3,) of an image's colors around the face's points (V, D)."""
    side = image.shape[-1]
    low = (points[:, :2].amin(0) * side).long().clamp(0, side - 2)
    high = (points[:, :2].amax(0) * side).long().clamp(1, side)
    face = image[:, low[1] : max(high[1], low[1] + 1), low[0] : max(high[0], low[0] + 1)]
    return face.mean((1, 2)), face.std((1, 2)).clamp_min(1e-3)


def recolored(image: Tensor, own: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor]) -> Tensor:
    """An image (3, S, S) whose face has another one's mean colors and contrasts."""
    gain = (wanted[1] / own[1]).clamp(0.6, 1.6)[:, None, None]
    return ((image - own[0][:, None, None]) * gain + wanted[0][:, None, None]).clamp(-1, 1)

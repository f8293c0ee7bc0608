"""face-alignment's FAN, the paper's landmarks, run on batches of faces with known boxes.

The package's own entry points bring their own detector, compile for half a minute, loop image by
image and round to whole pixels; here its network and its crop are used directly. This is the only
module of the pipeline that imports torch, so import it late.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from face_alignment.models import FAN
from face_alignment.utils import (
    CENTER_Y_OFFSET,
    HEATMAP_RESOLUTION,
    NUM_LANDMARKS,
    REFERENCE_SCALE,
    SCALE_FACTOR,
    crop,
    flip,
)

from fsh.pipeline.faces.landmarks import usable_boxes
from fsh.schemas.errors import FshError
from fsh.schemas.faces.face_landmarks import FaceLandmarks


class FanLandmarks:
    """2D-FAN on a batch of faces, averaged over the image and its mirror image as the package does.

    A :class:`~fsh.pipeline.faces.landmarks.LandmarkBackend`.

    Args:
        weights: a verified state dict (``2DFAN4-….pth.tar``).
        device: a torch device; None: the GPU if there is one.
        batch: faces per forward pass.
    """

    name = "fan"
    knows_absence = False

    def __init__(self, weights: Path, *, device: str | None = None, batch: int = 16) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.batch = batch
        self.network = load_network(weights).to(self.device)

    def landmarks(
        self, images: np.ndarray, boxes: np.ndarray, *, consecutive: bool = False
    ) -> FaceLandmarks:
        """See :class:`~fsh.pipeline.faces.landmarks.LandmarkBackend`."""
        points = np.full((len(images), NUM_LANDMARKS, 2), np.nan, np.float32)
        height, width = images.shape[1:3]
        corners = np.asarray(boxes, np.float64)
        # The package's crop fails on a window that misses the image.
        inside = (corners[:, :2] < (width, height)).all(1) & (corners[:, 2:] > 0).all(1)
        rows = np.flatnonzero(usable_boxes(boxes) & inside)
        for start in range(0, len(rows), self.batch):
            chosen = rows[start : start + self.batch]
            centers, scales = input_windows(corners[chosen])
            crops = np.stack(
                [crop(images[i], c, s) for i, c, s in zip(chosen, centers, scales, strict=True)]
            )
            points[chosen] = points_from_heatmaps(self.heatmaps(crops), centers, scales)
        return FaceLandmarks(points)

    @torch.inference_mode()
    def heatmaps(self, crops: np.ndarray) -> np.ndarray:
        """uint8 (N, 256, 256, 3) crops to float32 (N, 68, 64, 64) heat maps."""
        batch = torch.from_numpy(crops).to(self.device).permute(0, 3, 1, 2).float() / 255
        maps = self.network(batch)[-1]
        maps = maps + flip(self.network(flip(batch))[-1], is_label=True)
        return maps.float().cpu().numpy()


def load_network(weights: Path) -> FAN:
    """FAN with as many hourglasses as the weights have, ready for inference.

    Raises:
        FshError: if the file holds something else.
    """
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        network = FAN(sum(re.fullmatch(r"l\d+\.weight", key) is not None for key in state))
        network.load_state_dict(state)
    except Exception as error:  # torch raises whatever its unpickler meets
        raise FshError(
            f"not FAN weights ({type(error).__name__})",
            where=weights,
            remedy="move the file away, and it is fetched anew",
        ) from error
    return network.eval()


def input_windows(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The square windows that FAN is given for face boxes (N, 4).

    Returns:
        Centres float64 (N, 2), pixels, and scales (N,); a scale of 1 is a side of 200 pixels.
    """
    size = boxes[:, 2:] - boxes[:, :2]
    centers = boxes[:, 2:] - size / 2
    centers[:, 1] -= size[:, 1] * CENTER_Y_OFFSET
    return centers, size.sum(axis=1) / REFERENCE_SCALE


def points_from_heatmaps(maps: np.ndarray, centers: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Peaks of heat maps as image coordinates.

    The package does the same point by point and cuts the result to whole pixels.

    Args:
        maps: float32 (N, 68, 64, 64).
        centers, scales: of the windows that the maps cover, from :func:`input_windows`.

    Returns:
        float32 (N, 68, 2), pixel centres: the peak, moved a quarter cell towards its higher
        neighbour.
    """
    count, points, rows, columns = maps.shape
    best = maps.reshape(count, points, -1).argmax(axis=2)
    y, x = np.divmod(best, columns)
    inner = (x > 0) & (x < columns - 1) & (y > 0) & (y < rows - 1)
    n, p = np.ogrid[:count, :points]
    # At the edge there is no neighbour; clipping keeps the index legal and `inner` discards it.
    cx, cy = x.clip(1, columns - 2), y.clip(1, rows - 2)
    slope = np.stack(
        [
            maps[n, p, cy, cx + 1] - maps[n, p, cy, cx - 1],
            maps[n, p, cy + 1, cx] - maps[n, p, cy - 1, cx],
        ],
        axis=2,
    )
    cell = np.stack([x, y], axis=2) + 0.5 + 0.25 * np.sign(slope) * inner[..., None]
    side = SCALE_FACTOR * scales[:, None, None]
    edges = centers[:, None] + (cell / HEATMAP_RESOLUTION - 0.5) * side
    return (edges - 0.5).astype(np.float32)

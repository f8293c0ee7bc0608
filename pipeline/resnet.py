"""dlib's face recognition network in NumPy: the same weights and numbers, several times faster.

The wheels of dlib come without BLAS, so its own ``compute_face_descriptor`` takes 145 ms a face
on one core and was a quarter of the time of ``fsh shard``. As matrix products in NumPy's BLAS
the same network takes a tenth of that; tests hold it to dlib's own numbers.

The network is dlib's published one (``dnn_face_recognition_ex.cpp``): a ResNet of 29 convolutions,
each followed by an affine layer, which is folded into it here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fsh.schemas.errors import FshError

#: Side of the face chip that the network takes, pixels.
CHIP = 150
#: (residual blocks, filters, whether the first of them halves the picture), first level first.
_LEVELS = ((3, 32, False), (4, 64, True), (3, 128, True), (3, 256, True), (1, 256, True))
_MEAN = np.array([122.782, 117.001, 104.298], np.float32)

#: Weights (k · k · channels, filters) and biases (filters,) of a convolution.
Convolution = tuple[np.ndarray, np.ndarray]


class ResNet:
    """The network with the weights of ``dlib_face_recognition_resnet_model_v1.dat``.

    Raises:
        FshError: if the file holds another network.
    """

    def __init__(self, file: Path) -> None:
        tensors = _Tensors(file)
        self._first = tensors.convolution(7, 3, 32)
        self._blocks: list[tuple[Convolution, Convolution, bool]] = []
        channels = 32
        for blocks, filters, halves in _LEVELS:
            for i in range(blocks):
                one = tensors.convolution(3, channels, filters)
                two = tensors.convolution(3, filters, filters)
                self._blocks.append((one, two, halves and i == 0))
                channels = filters
        self._last = tensors.take(channels, 128).reshape(channels, 128)

    def __call__(self, chips: np.ndarray) -> np.ndarray:
        """Identity embeddings, as dlib's.

        Args:
            chips: uint8 (N, 150, 150, 3) RGB, upright faces as ``dlib.get_face_chip`` makes them.

        Returns:
            float32 (N, 128).
        """
        x = (chips.astype(np.float32) - _MEAN) / 256
        x = _pooled(np.maximum(_convolved(x, self._first, 7, 2, 0), 0), 3, np.maximum)
        for one, two, halves in self._blocks:
            y = np.maximum(_convolved(x, one, 3, 2 if halves else 1, 0 if halves else 1), 0)
            y = _convolved(y, two, 3, 1, 1)
            # Both ways around a halving differ in size and channels; dlib fills with zeros.
            shortcut = _pooled(x, 2, np.add) / 4 if halves else x
            x = np.maximum(_sum(y, shortcut), 0)
        return x.mean(axis=(1, 2)) @ self._last


def _convolved(
    x: np.ndarray, weights: Convolution, side: int, stride: int, padding: int
) -> np.ndarray:
    """(N, H, W, C) to (N, H', W', filters)."""
    if padding:
        x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    matrix, bias = weights
    return windows.reshape(*windows.shape[:3], len(matrix)) @ matrix + bias


def _pooled(x: np.ndarray, side: int, together: np.ufunc) -> np.ndarray:
    """Windows of ``side``² every 2 pixels, those that lie inside, put together by a ufunc."""
    height, width = ((n - side) // 2 * 2 + 1 for n in x.shape[1:3])
    parts = [x[:, i : i + height : 2, j : j + width : 2] for i in range(side) for j in range(side)]
    total = parts[0]
    for part in parts[1:]:
        total = together(total, part)
    return total


def _sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.shape == b.shape:
        return a + b
    total = np.zeros(np.maximum(a.shape, b.shape), np.float32)
    for x in (a, b):
        total[tuple(slice(n) for n in x.shape)] += x
    return total


class _Tensors:
    """The tensors of a serialized dlib network, in the order of its layers.

    dlib writes a tensor as the version 2, four sizes and the plain float32 numbers, and an
    integer as the number of its bytes and these. What lies between the tensors is not needed.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._data, self._at = file, file.read_bytes(), 0

    def take(self, *sizes: int) -> np.ndarray:
        """The next tensor of these sizes (the others are 1), flat."""
        full = (2, *sizes, *[1] * (4 - len(sizes)))
        head = b"".join(_integer(n) for n in full)
        found, count = self._data.find(head, self._at), int(np.prod(sizes))
        start = found + len(head)
        self._at = start + 4 * count
        if found < 0 or self._at > len(self._data):
            raise FshError("is not dlib's face recognition network", where=self._file)
        return np.frombuffer(self._data, "<f4", count, start)

    def convolution(self, side: int, channels: int, filters: int) -> Convolution:
        """The next convolution, with the affine layer behind it folded in."""
        count = side * side * channels * filters
        numbers = self.take(count + filters)
        scale, shift = self.take(2 * filters).reshape(2, filters)
        matrix = numbers[:count].reshape(filters, channels, side * side).transpose(2, 1, 0)
        matrix = matrix.reshape(-1, filters) * scale
        return np.ascontiguousarray(matrix), numbers[count:] * scale + shift


def _integer(number: int) -> bytes:
    data = number.to_bytes((number.bit_length() + 7) // 8, "little")
    return bytes([len(data)]) + data

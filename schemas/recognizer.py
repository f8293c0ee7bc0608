"""The weights of dlib's face recognition network as plain arrays.

The network is dlib's published one (``dnn_face_recognition_ex.cpp``): a ResNet of 29 convolutions,
each followed by an affine layer, which is folded into it here. The file comes inside the
``face_recognition_models`` wheel and is in the public domain (CC0). The pipeline runs the network
in NumPy (:mod:`fsh.pipeline.faces.embedding_network`), the trainer its first levels in torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from fsh.schemas.errors import FshError

#: Its file, inside the wheel.
RECOGNIZER = "dlib_face_recognition_resnet_model_v1.dat"
#: dlib's 68 landmarks, in the same package.
LANDMARK_MODEL = "shape_predictor_68_face_landmarks.dat"
#: Side in pixels of the aligned face (dlib's "face chip") that the network takes.
CHIP_SIDE = 150
#: Input normalisation of RGB values of 0…255: (value - MEAN) / SCALE.
MEAN, SCALE = np.array([122.782, 117.001, 104.298], np.float32), 256.0
#: (residual blocks, filters, whether the first of them halves the picture), first level first.
LEVELS = ((3, 32, False), (4, 64, True), (3, 128, True), (3, 256, True), (1, 256, True))


@dataclass(frozen=True)
class Convolution:
    """Weights float32 (filters, channels, side, side) and biases (filters,)."""

    weights: np.ndarray
    biases: np.ndarray


@dataclass(frozen=True)
class RecognizerBlock:
    """Two convolutions of 3×3 beside a shortcut.

    Attributes:
        halves: whether the first convolution has stride 2 and no padding; otherwise both have
            stride 1 and a padding of 1.
    """

    one: Convolution
    two: Convolution
    halves: bool


@dataclass(frozen=True)
class Recognizer:
    """The whole network.

    Attributes:
        first: convolution of 7×7 with stride 2.
        levels: the residual blocks of each level.
        last: float32 (256, 128), the matrix from averaged features to the embedding.
    """

    first: Convolution
    levels: tuple[tuple[RecognizerBlock, ...], ...]
    last: np.ndarray


def model_file(name: str) -> Path:
    """A file of the ``face_recognition_models`` wheel, found without importing the package.

    Importing it needs pkg_resources, which new setuptools no longer have.

    Raises:
        FshError: if it is not installed.
    """
    spec = find_spec("face_recognition_models")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "models" / name
        if path.is_file():
            return path
    raise FshError(
        f"dlib's model {name} is not installed", remedy="pip install face_recognition_models"
    )


def read_recognizer(file: Path) -> Recognizer:
    """The network of ``dlib_face_recognition_resnet_model_v1.dat``.

    Raises:
        FshError: if the file holds another network.
    """
    tensors = _Tensors(file)
    first = tensors.convolution(7, 3, LEVELS[0][1])
    channels, levels = LEVELS[0][1], []
    for blocks, filters, halves in LEVELS:
        level = []
        for i in range(blocks):
            one = tensors.convolution(3, channels, filters)
            two = tensors.convolution(3, filters, filters)
            level.append(RecognizerBlock(one, two, halves and i == 0))
            channels = filters
        levels.append(tuple(level))
    return Recognizer(first, tuple(levels), tensors.take(channels, 128).reshape(channels, 128))


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
        weights = numbers[:count].reshape(filters, channels, side, side)
        return Convolution(weights * scale[:, None, None, None], numbers[count:] * scale + shift)


def _integer(number: int) -> bytes:
    data = number.to_bytes((number.bit_length() + 7) // 8, "little")
    return bytes([len(data)]) + data

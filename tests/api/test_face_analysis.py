"""Looking at faces with the real detectors; ArcFace's file, folders of frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.data import astronaut
from tiny_data import template

from fsh import face_analysis
from fsh.evaluation.frames_folder import from_frames
from fsh.face_analysis import DetectorFaceAnalyzer, expression
from fsh.pipeline.faces.arcface import ArcFace, align_face
from fsh.pipeline.faces.landmarks import face_box
from fsh.pipeline.faces.pose import rotation_matrix
from fsh.pipeline.faces.several_looks import boxes_around, mean_faces
from fsh.schemas.errors import FshError
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.mesh import MEAN_RIGID, MESH_POINTS, RIGID_MESH, landmarks_of_mesh
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.progress import Silent


def field(number: int, content: bytes | int) -> bytes:
    """One protobuf field."""

    def varint(value: int) -> bytes:
        found = b""
        while value > 127:
            found, value = found + bytes([value & 127 | 128]), value >> 7
        return found + bytes([value])

    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def tiny_onnx() -> bytes:
    """An ONNX network that answers with the mean of each channel of a 112×112 picture."""

    def value(name: str, shape: tuple[int, ...]) -> bytes:
        dims = b"".join(field(1, field(1, side)) for side in shape)
        tensor = field(1, 1) + field(2, dims)
        return field(1, name.encode()) + field(2, field(1, tensor))

    def node(kind: str, source: str, to: str) -> bytes:
        names = field(1, source.encode()) + field(2, to.encode()) + field(3, kind.encode())
        return names + field(4, kind.encode())

    graph = field(1, node("GlobalAveragePool", "in", "pooled"))
    graph += field(1, node("Flatten", "pooled", "out")) + field(2, b"tiny")
    graph += field(11, value("in", (1, 3, 112, 112))) + field(12, value("out", (1, 3)))
    return field(1, 7) + field(7, graph) + field(8, field(1, b"") + field(2, 13))


def test_arcface_reads_an_onnx_file_in_rgb(tmp_path):
    (tmp_path / "arcface.onnx").write_bytes(tiny_onnx())
    network = ArcFace(tmp_path / "arcface.onnx")
    red = np.zeros((200, 200, 3), np.uint8)
    red[..., 0] = 255
    np.testing.assert_allclose(network.embed(red, template() * 200), [1, -1, -1], atol=1e-3)
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    with pytest.raises(FshError, match="not an ONNX network"):
        ArcFace(tmp_path / "bad.onnx")


def test_arcface_sees_the_same_face_however_it_lies():
    points = template() * 200
    picture = cv2.resize(astronaut()[20:220, 120:320], (200, 200))
    turn = cv2.getRotationMatrix2D((100, 100), 20, 0.9)
    moved = cv2.warpAffine(picture, turn, (200, 200), flags=cv2.INTER_CUBIC)
    there = points @ turn[:, :2].T + turn[:, 2]
    gap = np.abs(align_face(picture, points).astype(int) - align_face(moved, there))[30:90, 30:90]
    assert gap.mean() < 4


def test_expression_knows_open_from_closed_and_not_pose():
    points = template()[None] * 256
    opened = points.copy()
    opened[:, [65, 66, 67], 1] += 12
    change = expression(opened) - expression(points)
    assert change[0, 2] > 0.1 and np.allclose(np.delete(change, 2), 0)
    angle = np.radians(25)
    turn = 0.7 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(expression(points @ turn.T + 9), expression(points), atol=1e-5)


@pytest.fixture(scope="module")
def portrait(tmp_path_factory):
    """Frames of the published shape: 224², a head that moves a little."""
    root = tmp_path_factory.mktemp("frames")
    folder = root / "unseen" / "id1" / "vid1" / "combined"
    folder.mkdir(parents=True)
    picture = cv2.resize(astronaut()[0:280, 90:370], (224, 224), interpolation=cv2.INTER_AREA)
    for i in range(4):
        moved = cv2.warpAffine(
            picture, np.float32([[1, 0, 2 * i], [0, 1, i]]), (224, 224), borderMode=1
        )
        cv2.imwrite(str(folder / f"{i:05d}_rgb.png"), moved[..., ::-1])
    return root


def test_a_folder_of_frames_is_somebody_to_evaluate_on(portrait):
    spec = FaceSpec()
    (subject,) = from_frames(portrait, spec, 32, 32, Silent())
    assert (subject.identity, subject.counts) == ("id1", (2, 2))
    found = subject.load()
    assert found.inputs.frames.shape == (2, 256, 256, 3) and found.consecutive is None
    assert found.held_out.found.all()
    analyzer = DetectorFaceAnalyzer(spec)
    analysis = analyzer.analyze(found.held_out.frames[:, ::2, ::2], found.held_out.landmarks)
    assert analysis.identities["dlib"].shape == (2, 128) and analysis.pose.shape == (2, 3)
    # Crop pixels, at half the size.
    assert np.abs(analysis.landmarks.points - found.held_out.landmarks).mean() < 4
    assert analyzer.landmark_backend.split()[0] in ("mediapipe", "dlib")
    assert "weights" in analyzer.backbones["dlib"]
    assert "arcface" in {**analyzer.missing, **analyzer.backbones}
    with pytest.raises(FshError, match="no SPLIT/IDENTITY/VIDEO"):
        from_frames(portrait / "unseen", spec, 32, 32, Silent())


class Solid:
    """Finds a mesh that is turned by 25° in the first picture, and no face in the others."""

    name = "mediapipe"

    def landmarks(self, images, boxes, *, consecutive=False):
        mesh = np.full((len(images), MESH_POINTS, 3), np.nan, np.float32)
        mesh[0] = np.random.default_rng(0).uniform(60, 200, (MESH_POINTS, 3))
        mesh[0, RIGID_MESH] = MEAN_RIGID @ rotation_matrix(25, 5, 0).T * 80 + (128, 100, 0)
        return FaceLandmarks(landmarks_of_mesh(mesh), mesh)


class Flat:
    """Finds faces without a mesh."""

    name = "dlib"

    def landmarks(self, images, boxes, *, consecutive=False):
        return FaceLandmarks(np.zeros((len(images), 68, 2), np.float32))


def test_all_are_measured_by_the_mesh_whatever_the_data_set_has(monkeypatch):
    """Faces that are not found have no landmarks, pose or expression, but an identity."""
    monkeypatch.setattr(face_analysis, "load_backend", lambda name: {"mediapipe": Solid()}[name])
    analyzer = DetectorFaceAnalyzer(FaceSpec(backend="dlib"), Flat())
    assert analyzer.landmark_backend.startswith("mediapipe 478 points, weights ")
    near = np.random.default_rng(1).uniform(60, 200, (2, 68, 2)).astype(np.float32)
    monkeypatch.setattr(analyzer, "embed", lambda pictures, landmarks: landmarks[:, 0])
    found = analyzer.analyze(np.zeros((2, 256, 256, 3), np.uint8), near)
    assert found.pose[0] == pytest.approx([25, 5, 0], abs=1e-3)
    assert found.landmarks.found.tolist() == [True, False] and found.landmarks.mesh is not None
    assert np.isnan(found.pose[1]).all() and np.isnan(found.expression[1]).all()
    assert np.array_equal(found.identities["dlib"][1], near[1, 0])
    assert np.array_equal(found.identities["dlib"][0], found.landmarks.points[0, 0])
    # What personalising asks is asked of the data set's own.
    assert not analyzer.find_landmarks(np.zeros((2, 256, 256, 3), np.uint8), near).any()


def test_where_no_mesh_can_be_had_the_data_sets_backend_measures(monkeypatch):
    def none(name):
        raise FshError(f"no {name}")

    monkeypatch.setattr(face_analysis, "load_backend", none)
    analyzer = DetectorFaceAnalyzer(FaceSpec(backend="dlib"), Flat())
    assert analyzer.landmark_backend.startswith("dlib 68 points, weights ")


def test_faces_are_measured_in_several_boxes_around_them():
    near = np.stack([template() * 100, template() * 100 + 20]).astype(np.float32)
    boxes = boxes_around(near)
    own = face_box(near)
    assert len(boxes) == 4 and np.unique(np.stack(boxes), axis=0).shape == (4, 2, 4)
    np.testing.assert_allclose(np.mean(boxes, axis=0), own, atol=0.5)
    sides = np.stack(boxes)[..., 2:] - np.stack(boxes)[..., :2]
    assert (np.abs(sides / (own[:, 2:] - own[:, :2]) - 1) < 0.06).all()


def test_looks_are_averaged_over_those_that_found_the_face():
    points = np.zeros((2, 68, 2), np.float32)
    looks = [FaceLandmarks(points + k, np.zeros((2, MESH_POINTS, 3), np.float32)) for k in range(4)]
    for look in looks[1:]:
        look.points[1] = np.nan
    looks[0].points[0] = np.nan
    averaged = mean_faces(looks)
    assert averaged.points[0].min() == averaged.points[0].max() == 2
    assert np.isnan(averaged.points[1]).all() and averaged.mesh is not None
    assert np.isnan(averaged.mesh[1]).all() and averaged.mesh[0].max() == 0

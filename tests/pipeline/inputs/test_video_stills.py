"""A video's frames as photos."""

from __future__ import annotations

import numpy as np
import pytest
from faces_helpers import Told, dlib_landmarks
from PIL import Image
from videos import moving, write_video

from fsh.pipeline.inputs.photos import prepare_photos
from fsh.pipeline.inputs.video_stills import pick_stills, select_diverse
from fsh.schemas.faces.spec import FaceSpec

SPEC = FaceSpec()


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("talk") / "talk.mp4", moving(1.2))


def test_frames_are_chosen_sharp_and_unlike_each_other():
    poses = np.zeros((10, 5))
    poses[:, 0] = [0, 1, 2, 0, 20, 1, -20, 0, 80, 0]  # degrees of yaw
    poses[7, 2] = 0.3  # an open mouth
    sharp = np.ones(10)
    sharp[4] = 0.1
    chosen = select_diverse(poses, sharp, 3)
    assert len(set(chosen)) == 3 and {6, 7} <= set(chosen)
    assert 4 not in chosen and 8 not in chosen
    assert len(select_diverse(poses, sharp, 50)) == 8


def test_frames_of_a_video_serve_as_photos(talk, tmp_path):
    told = Told()
    stills = pick_stills(talk, SPEC, dlib_landmarks(), told, count=3)
    assert len(stills) == 3 and [s.time for s in stills] == sorted(s.time for s in stills)
    clip, rejected = prepare_photos([talk], SPEC, backend=dlib_landmarks(), progress=told, face=1)
    assert not rejected and clip.name == "talk.mp4" and 2 <= len(clip) <= 8
    known = {tuple(still.window): still.real.tolist() for still in stills}
    for window, real in zip(clip.crops.astype(int).tolist(), clip.real.tolist(), strict=True):
        assert known[tuple(window)] == real
    assert clip.embedding is not None and clip.found.all()
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    Image.fromarray(moving(0.04)[0]).save(tmp_path / "a.png")
    clip, rejected = prepare_photos(
        [tmp_path / "a.png", tmp_path / "broken.mp4"],
        SPEC,
        backend=dlib_landmarks(),
        progress=told,
    )
    assert len(clip) == 1 and rejected[0].path.name == "broken.mp4"

"""Several people in a driver: told apart, counted, and one of them drives."""

from __future__ import annotations

import numpy as np
import pytest
from faces_helpers import dlib_landmarks
from videos import moving, write_video

from fsh.pipeline.faces.tracking import Detection, LinkedDetections, SearchedFrame
from fsh.pipeline.inputs import driver as drivers
from fsh.pipeline.inputs.driver import read_driver
from fsh.pipeline.inputs.driver_faces import face_tracks, looks_at, path_of, tell_apart
from fsh.pipeline.inputs.preflight import preflight
from fsh.pipeline.media.shots import Shot
from fsh.schemas.errors import FshError
from fsh.schemas.faces.landmarks import found
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.progress import Silent

ANN, BOB = np.eye(128, dtype=np.float32)[:2]


def seen(frame: int, left: float, side: float = 100.0, looks: float = 1.0) -> Detection:
    box = np.array([left, 50, left + side, 50 + side], np.float32)
    appearance = np.zeros(256, np.float32)
    appearance[0] = looks
    return Detection(frame, frame / 25, box, 1.0, appearance)


def scene(*shots: tuple[int, int, list[tuple[float, float]]], every: int = 3):
    """Searched frames and shots: first and last frame, and each face's left edge and side."""
    searched = [
        SearchedFrame(frame, [seen(frame, left, side) for left, side in faces])
        for first, last, faces in shots
        for frame in range(first, last, every)
    ]
    return searched, [Shot(first, last) for first, last, _ in shots]


def test_no_track_goes_over_a_cut_and_people_are_counted_as_they_appear():
    searched, shots = scene((0, 30, [(200, 100)]), (30, 60, [(200, 100)]), (60, 90, [(210, 100)]))
    tracks = face_tracks(searched, shots)
    assert [track.detections[0].frame for track in tracks] == [0, 30, 60]
    looked = looks_at(tracks)
    assert all(0 <= frame < 90 and len(faces) == 1 for frame, faces in looked.items())
    embeddings = {0: ANN[None], 1: BOB[None], 2: np.stack([BOB, ANN])}
    assert tell_apart(tracks, embeddings) == [0, 1, 0]
    both, shots = scene((0, 30, [(300, 90), (100, 90)]))
    tracks = face_tracks(both, shots)
    # Side by side they are two, however alike.
    people = tell_apart(tracks, {0: ANN[None], 1: ANN[None]})
    lefts = [track.detections[0].box[0] for track in tracks]
    assert dict(zip(people, lefts, strict=True)) == {0: 100, 1: 300}


def test_the_one_who_is_largest_for_longest_drives_or_the_one_who_is_chosen():
    searched, shots = scene((0, 30, [(200, 100)]), (30, 50, [(200, 150)]), (50, 91, [(210, 100)]))
    tracks = face_tracks(searched, shots)
    people = [0, 1, 0]
    path = path_of(tracks, people, None, searched, shots, 91)
    assert np.flatnonzero(~path.tracked).tolist() == list(range(30, 50))
    assert path.away == ((30, 50),) and path.others == (1,)
    assert np.isfinite(path.boxes).all()
    other = path_of(tracks, people, 1, searched, shots, 91)
    assert np.flatnonzero(other.tracked).tolist() == list(range(30, 50))
    assert other.away == ((0, 30), (50, 91)) and other.others == (0,)


def test_what_is_seen_for_a_moment_is_nobody():
    searched, shots = scene((0, 30, [(200, 100)]), (30, 34, [(400, 60)]), (34, 60, [(200, 100)]))
    tracks = face_tracks(searched, shots)
    people = tell_apart(tracks, {0: ANN[None], 1: BOB[None], 2: ANN[None]})
    assert people == [0, -1, 0]
    path = path_of(tracks, people, None, searched, shots, 60)
    assert path.others == () and path.away == ()
    assert np.flatnonzero(~path.tracked).tolist() == list(range(30, 34))


def test_one_face_is_not_looked_at_again():
    searched, shots = scene((0, 30, [(200, 100)]))
    assert looks_at(face_tracks(searched, shots)) == {}
    assert face_tracks([SearchedFrame(0, [])], [Shot(0, 5)]) == []
    lone = LinkedDetections(0, [seen(0, 10)])
    path = path_of([lone], [0], None, [SearchedFrame(0, lone.detections)], [Shot(0, 5)], 5)
    assert path.tracked.all() and path.away == ()


@pytest.fixture(scope="module")
def cut_away(tmp_path_factory):
    """One person, then another one (the same in dim light, for the tests), then the first."""
    one, other = moving(1.2), [frame // 3 for frame in moving(0.8, mirrored=True)]
    frames = [*one[:15], *other, *one[15:]]
    return write_video(tmp_path_factory.mktemp("cut") / "talk.mp4", frames)


def test_a_cut_to_somebody_else_is_bridged_and_said(cut_away, monkeypatch):
    monkeypatch.setattr(drivers, "embed_face", lambda image, _: ANN if image.mean() > 60 else BOB)
    driver = read_driver(cut_away, FaceSpec(), dlib_landmarks(), Silent())
    lost = np.flatnonzero(~found(driver.landmarks))
    assert lost.tolist() == list(range(15, 35)) and driver.faces == 2
    assert driver.away == ((pytest.approx(0.6), pytest.approx(1.4)),)
    told = preflight(driver.landmarks, 256, None, driver.away, driver.faces).warnings()
    assert "cuts away to another person at 0:00.6 to 0:01.4: bridged" in told[0]
    assert "--driver-face 0 to 1" in told[0]
    other = read_driver(cut_away, FaceSpec(), dlib_landmarks(), Silent(), face=1)
    assert np.flatnonzero(found(other.landmarks)).tolist() == list(range(15, 35))
    with pytest.raises(FshError, match="no face number 2: it shows 2 faces, 0 to 1"):
        read_driver(cut_away, FaceSpec(), dlib_landmarks(), Silent(), face=2)


def test_a_cut_within_one_persons_talk_is_none(cut_away, monkeypatch):
    monkeypatch.setattr(drivers, "embed_face", lambda image, _: ANN)
    driver = read_driver(cut_away, FaceSpec(), dlib_landmarks(), Silent())
    assert found(driver.landmarks).all() and driver.away == () and driver.faces == 1

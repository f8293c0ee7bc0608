"""Which face of each photo is the person's, and whose photos are somebody else's."""

from __future__ import annotations

import numpy as np
import pytest
from faces_helpers import Told
from hypothesis import given
from hypothesis import strategies as st

from fsh.pipeline.faces.crop import CropWindow
from fsh.pipeline.faces.detection import Face
from fsh.pipeline.inputs.photo_choice import choose_faces, outliers, require_one_person
from fsh.pipeline.inputs.photo_faces import FaceCandidate
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Silent


def candidate(left: float, side: float, who: np.ndarray | None) -> FaceCandidate:
    face = Face(np.array([left, 0, left + side, side], np.float32), 1.0)
    crop, whole = np.zeros((2, 2, 3), np.uint8), np.array([0, 0, 2, 2], np.float32)
    points = np.zeros((68, 2), np.float32)
    return FaceCandidate(face, CropWindow(0, 0, 2), crop, whole, points, who)


PEOPLE = 1.4 * np.eye(128, dtype=np.float32)[:4] / 2**0.5


def test_the_largest_face_of_one_photo():
    faces = [candidate(0, 50, PEOPLE[0]), candidate(100, 80, PEOPLE[1])]
    assert choose_faces([faces], None) == [1]
    assert choose_faces([[candidate(0, 50, None), candidate(99, 20, None)]] * 2, None) == [0, 0]


@given(st.integers(0, 10**6))
def test_the_recurring_person_is_chosen_however_large_the_others(seed):
    rng = np.random.default_rng(seed)
    photos, wanted = [], []
    for i in range(4):
        others = [p for p in range(1, 4) if p != i][: rng.integers(0, 3)]
        faces = [candidate(0, 30, PEOPLE[0] + rng.normal(0, 0.01, 128).astype(np.float32))]
        faces += [candidate(100 * p, 200, PEOPLE[p]) for p in others[: int(i > 0)]]
        order = rng.permutation(len(faces))
        photos.append([faces[k] for k in order])
        wanted.append(int(np.flatnonzero(order == 0)[0]))
    assert choose_faces(photos, None) == wanted


def test_faces_are_numbered_from_the_left():
    faces = [candidate(300, 50, None), candidate(0, 50, None), candidate(100, 90, None)]
    assert [choose_faces([faces], k)[0] for k in range(4)] == [1, 2, 0, -1]


def test_photos_of_somebody_else_are_named(tmp_path):
    rng = np.random.default_rng(1)
    same = PEOPLE[0] + rng.normal(0, 0.01, (3, 128))
    names = [tmp_path / f"{i}.jpg" for i in range(4)]
    assert outliers(same) == [] == outliers(same[:1])
    assert outliers(np.stack([same[0], PEOPLE[1], same[1], same[2]])) == [1]
    assert outliers(np.stack([same[0], PEOPLE[1]])) == [0, 1]
    mixed = np.stack([*same, PEOPLE[2]])
    with pytest.raises(FshError, match=r"not the person of the other photos.*: 3\.jpg"):
        require_one_person(names, mixed, False, Silent())
    told = Told()
    require_one_person(names, mixed, True, told)
    assert "3.jpg" in told.lines[0]

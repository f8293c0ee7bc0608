"""A driver's mesh on a person's shape: what travels, what stays."""

from __future__ import annotations

import numpy as np
import pytest

from fsh.schemas.faces.mesh import (
    LOWER_LIDS,
    LOWER_LIP,
    MEAN_RIGID,
    MESH_POINTS,
    PLACES,
    RIGID_MESH,
    UPPER_LIDS,
    UPPER_LIP,
    Placement,
    place_mesh,
)
from fsh.trainer.person.mesh_transfer import face_at_rest, neutral_mesh, openness, transfer_mesh
from fsh.trainer.person.motion_transfer import fill_gaps, smooth_landmarks

TIMES = np.arange(9) / 25
#: Chin and a lower lip's point, which are none of the rigid ones.
CHIN, LIP = 152, 17


def head(seed: int, width: float = 1.0) -> np.ndarray:
    """A shape (478, 3) in the head's own coordinates, about as large as the mean head."""
    shape = np.random.default_rng(seed).uniform(-0.7, 0.7, (MESH_POINTS, 3))
    shape[RIGID_MESH] = MEAN_RIGID
    shape[CHIN] = 0, 1.3, 0
    return shape * (width, 1, 1)


def rotation(yaw: float) -> np.ndarray:
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def nodding(shape: np.ndarray, scale: float = 50.0) -> np.ndarray:
    """Nine frames: turning to 0.8 radians, growing, moving, and a lip that goes down."""
    frames = []
    for i in range(9):
        face = shape.copy()
        face[LIP, 1] += 0.02 * i
        place = Placement(scale * (1 + i / 50), rotation(0.1 * i), np.array([90 + i, 100 - i, 0]))
        frames.append(place.to_picture(face))
    return np.stack(frames)


def test_a_person_driven_by_oneself_moves_as_one_moves():
    driver = nodding(head(0))
    made = transfer_mesh(driver, TIMES, driver[:1], smooth=False, reference=0)
    np.testing.assert_allclose(made, driver, atol=1e-3)


def test_the_shape_stays_and_turn_size_and_expression_travel():
    driver, person = nodding(head(0)), head(1)
    photos = Placement(70.0, rotation(0.0), np.array([128.0, 120.0, 0.0])).to_picture(person)[None]
    made = transfer_mesh(driver, TIMES, photos, smooth=False, reference=0)
    np.testing.assert_allclose(made[0], photos[0], atol=1e-3)
    for i, mesh in enumerate(made):
        place = place_mesh(mesh)
        np.testing.assert_allclose(place.rotation, rotation(0.1 * i), atol=1e-5)
        assert place.scale == pytest.approx(70 * (1 + i / 50), rel=1e-5)
        np.testing.assert_allclose(place.shift, [128 + 1.4 * i, 120 - 1.4 * i, 0], atol=1e-3)
        local = place.to_head(mesh) - person
        high = np.ptp(person[:, 1]) / np.ptp(head(0)[:, 1])
        assert local[LIP, 1] == pytest.approx(0.02 * i * high, abs=1e-5)
        rest = np.delete(local, LIP, axis=0)
        assert np.abs(rest).max() < 1e-4


def test_expressions_are_scaled_by_the_faces_proportions():
    driver = nodding(head(0))
    driver[3, LIP, 0] += 6.0
    wide = nodding(head(0, width=1.25))[:1]
    made = [
        transfer_mesh(driver, TIMES, photos, smooth=False, reference=0)
        for photos in (driver[:1], wide)
    ]
    steps = [
        place_mesh(m[3]).to_head(m[3])[LIP, 0] - place_mesh(m[0]).to_head(m[0])[LIP, 0]
        for m in made
    ]
    assert steps[1] / steps[0] == pytest.approx(1.25, rel=0.15)


def test_the_neutral_shape_does_not_depend_on_how_the_photos_show_it():
    shape = head(4)
    photos = np.stack(
        [
            Placement(s, rotation(a), np.array([x, 9.0, 0.0])).to_picture(shape)
            for s, a, x in [(40, -0.4, 80.0), (60, 0.4, 100.0)]
        ]
    )
    found, place = neutral_mesh(photos)
    np.testing.assert_allclose(found, shape, atol=1e-9)
    assert place.scale == pytest.approx(50)
    np.testing.assert_allclose(place.rotation, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(place.shift, [90, 9, 0], atol=1e-6)


def test_no_frames_and_jitter():
    photos = nodding(head(0))[:1]
    assert transfer_mesh(np.empty((0, MESH_POINTS, 3)), TIMES[:0], photos).shape == (0, 478, 3)
    noisy = np.repeat(photos, 9, axis=0) + np.random.default_rng(0).normal(0, 1, (9, 478, 3))
    rough, smooth = (transfer_mesh(noisy, TIMES, photos, smooth=s, reference=4) for s in (0, 1))
    assert np.abs(np.diff(smooth, axis=0)).mean() < 0.8 * np.abs(np.diff(rough, axis=0)).mean()


def test_a_mesh_is_smoothed_and_bridged_as_its_68_landmarks():
    driver = nodding(head(0)).astype(np.float32)
    driver += np.random.default_rng(0).normal(0, 1, driver.shape).astype(np.float32)
    driver[[2, 3]] = np.nan
    filled, gaps = fill_gaps(driver, TIMES)
    assert gaps == 2
    places = filled[:, PLACES, :2]
    np.testing.assert_array_equal(places, fill_gaps(driver[:, PLACES, :2], TIMES)[0])
    steady = np.repeat(filled[:1], 9, axis=0) + 0.1 * (filled - filled[:1])  # faces the camera
    smooth = smooth_landmarks(steady, TIMES)
    np.testing.assert_allclose(
        smooth[:, PLACES, :2], smooth_landmarks(steady[:, PLACES, :2], TIMES), atol=1e-6
    )


def opened(shape: np.ndarray, mouth: float, lids: float) -> np.ndarray:
    """A face whose mouth and eyes are open by these shares of their width."""
    face = shape.copy()
    rims = [
        (UPPER_LIP, LOWER_LIP, mouth),
        *((u, o, lids) for u, o in zip(UPPER_LIDS, LOWER_LIDS, strict=True)),
    ]
    for number, (upper, lower, share) in enumerate(rims):
        across = np.linspace(-0.15, 0.15, len(upper))
        for rim, sign in ((upper, -1), (lower, 1)):
            height = sign * share * 0.15 * np.ones(len(rim))
            height[[0, -1]] = 0
            middle = ((0.0, 0.7), (-0.35, 0.0), (0.35, 0.0))[number]
            face[list(rim)] = np.column_stack([across, height, 0 * across])
            face[list(rim), :2] += middle
    return face


def film(faces: list[np.ndarray]) -> np.ndarray:
    place = Placement(60.0, rotation(0.0), np.array([128.0, 100.0, 0.0]))
    return np.stack([place.to_picture(face) for face in faces])


def test_openness_is_height_over_width_of_mouth_and_eyes():
    np.testing.assert_allclose(openness(opened(head(0), 0.4, 0.3)), [0.4, 0.3, 0.3], atol=1e-6)


def test_the_face_at_rest_is_as_far_open_as_the_persons():
    faces = np.stack(
        [opened(head(0), m, e) for m in (0, 0.1, 0.5) for e in (0, 0.3) for _ in "abcde"]
    )
    for mouth, lids in ((0.1, 0.3), (0.5, 0.0)):
        rest = face_at_rest(faces, opened(head(1), mouth, lids))
        np.testing.assert_allclose(openness(rest), [mouth, lids, lids], atol=1e-6)


def test_a_driver_who_begins_in_a_blink_with_the_mouth_open_closes_and_opens_both_all_the_same():
    states = [(0.6, 0.0)] * 4 + [(0.0, 0.3)] * 8 + [(0.6, 0.3)] * 8
    driver = film([opened(head(0), *state) for state in states])
    made = transfer_mesh(
        driver, np.arange(20) / 25, film([opened(head(1), 0.0, 0.3)]), smooth=False
    )
    found = np.array([openness(mesh) for mesh in made])
    np.testing.assert_allclose(found, [(m, e, e) for m, e in states], atol=0.06)


def test_lips_and_lids_meet_and_do_not_pass_each_other():
    states = [(0.3, 0.3)] * 10 + [(0.0, 0.0)] * 10
    driver = film([opened(head(0), *state) for state in states])
    person = film([opened(head(1), 0.05, 0.1)])
    made = transfer_mesh(driver, np.arange(20) / 25, person, smooth=False, reference=0)
    assert np.array([openness(mesh) for mesh in made]).min() > -1e-4
    assert np.abs(openness(made[-1])).max() < 1e-4


def with_eyes(gap: float) -> np.ndarray:
    """A head (1, 478, 3) in a picture, with eyes open by a share of their width."""
    shape = head(0)
    for rims in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        for rim, side in zip(rims, (-0.5, 0.5), strict=True):
            shape[list(rim), 0] = np.linspace(-0.1, 0.1, len(rim))
            shape[list(rim), 1] = 0.0
            shape[list(rim[1:-1]), 1] = side * gap * 0.2
            shape[list(rim), 2] = 0.0
    return Placement(60.0, rotation(0.0), np.array([100.0, 100.0, 0.0])).to_picture(shape)[None]


@pytest.mark.parametrize(("gap", "wanted"), [(0.3, 0.3), (0.15, 0.15), (0.09, 0.045), (0.03, 0.0)])
def test_eyes_that_are_nearly_shut_shut(gap, wanted):
    driver = np.concatenate([with_eyes(0.3), with_eyes(gap)])
    made = transfer_mesh(driver, TIMES[:2], with_eyes(0.3), smooth=False, reference=0)
    local = place_mesh(made[1]).to_head(made[1])
    np.testing.assert_allclose(openness(local)[1:], wanted, atol=2e-3)


def test_eyes_that_the_photos_show_shut_stay_as_they_are():
    driver = np.concatenate([with_eyes(0.02), with_eyes(0.3)])
    made = transfer_mesh(driver, TIMES[:2], with_eyes(0.02), smooth=False, reference=0)
    assert openness(place_mesh(made[1]).to_head(made[1]))[1:] == pytest.approx(0.3, abs=2e-3)


def test_a_mouth_that_talks_fast_keeps_its_opening():
    times = np.arange(50) / 25
    mouths = 0.2 + 0.2 * np.sin(2 * np.pi * 3 * times)
    driver = film([opened(head(0), mouth, 0.3) for mouth in mouths])
    made = transfer_mesh(driver, times, driver[:1])
    found = np.array([openness(mesh)[0] for mesh in made])
    assert np.ptp(found[5:-5]) > 0.75 * np.ptp(mouths[5:-5])

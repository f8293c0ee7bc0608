"""A driver whose faces come one by one: nothing looks ahead, gaps are bridged, lag is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from solid_head import head
from tiny_data import SPEC, clip_of

from fsh.schemas.faces.mesh import landmarks_of_mesh, mirrored_face
from fsh.trainer.person.live_motion import BRIDGED, LiveMotion, LiveSmoothing
from fsh.trainer.person.mesh_transfer import MeshTransfer, transfer_mesh
from fsh.trainer.person.motion_transfer import MotionTransfer, transfer_motion
from fsh.trainer.person.photo_references import PhotoReferences


def turned(yaw: float, scale: float = 100.0, x: float = 200.0) -> np.ndarray:
    """The solid head, turned by degrees, in pixels."""
    turn = np.deg2rad(yaw)
    matrix = [[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]]
    return scale * head() @ np.array(matrix).T + np.array([x, 150, 0])


PERSON = turned(0, scale=120)[None]
TURNS = [turned(20 * np.sin(i / 6)) for i in range(40)]
TIMES = np.arange(len(TURNS)) / 25


def drawn(motion: LiveMotion, smoothing: LiveSmoothing, faces, times=TIMES) -> list[np.ndarray]:
    made = []
    for points, at in zip(faces, times, strict=True):
        face = smoothing.next(points, float(at))
        made.append(None if face is None else motion.move(face, float(at)))
    return made


def test_nothing_looks_ahead():
    whole = drawn(LiveMotion(MeshTransfer(PERSON)), LiveSmoothing(), TURNS)
    half = drawn(LiveMotion(MeshTransfer(PERSON)), LiveSmoothing(), TURNS[:20], TIMES[:20])
    np.testing.assert_array_equal(whole[:20], half)


@pytest.mark.parametrize("mesh", [True, False])
def test_from_a_given_reference_the_transfer_is_that_of_films(mesh):
    faces = np.array(TURNS) if mesh else landmarks_of_mesh(np.array(TURNS))
    person = PERSON if mesh else landmarks_of_mesh(PERSON)
    transfer = MeshTransfer(person) if mesh else MotionTransfer(person)
    motion, smoothing = LiveMotion(transfer), LiveSmoothing(smooth=False)
    first = smoothing.next(faces[0], -1.0)
    assert first is not None
    motion.move(first, -1.0)
    assert motion.calibrate()
    of_films = transfer_mesh if mesh else transfer_motion
    wanted = of_films(faces, TIMES, person, smooth=False, reference=0)
    np.testing.assert_allclose(drawn(motion, smoothing, faces), wanted, atol=1e-3)


def test_the_delay_told_is_the_lag_seen():
    """A face that moves steadily is drawn where it was so many seconds ago."""
    smoothing, speed = LiveSmoothing(), 40.0  # pixels a second
    for i in range(60):
        at = i / 30
        face = smoothing.next(turned(0, x=200 + speed * at), at)
    assert face is not None
    lag = (turned(0, x=200 + speed * at) - face.points)[:, 0].mean() / speed
    assert face.delay == pytest.approx(lag, rel=0.15)
    assert 0.003 < face.delay < 0.03
    assert LiveSmoothing(smooth=False).next(turned(0), 0.0).delay == 0


def test_jitter_is_taken_out():
    random, smoothing = np.random.default_rng(0), LiveSmoothing()
    noise = random.normal(0, 0.5, (100, 478, 3))
    made = [smoothing.next(turned(0) + n, i / 30).points for i, n in enumerate(noise)]
    assert np.std(made[20:], axis=0).mean() < 0.8 * 0.5


def test_a_short_gap_is_bridged_and_a_long_one_is_not():
    smoothing = LiveSmoothing()
    assert smoothing.next(None, 0.0) is None
    seen = smoothing.next(turned(0), 0.1)
    bridged = smoothing.next(None, 0.1 + BRIDGED - 0.01)
    assert bridged.bridged and not seen.bridged
    np.testing.assert_array_equal(bridged.points, seen.points)
    assert bridged.delay == pytest.approx(BRIDGED - 0.01)
    assert smoothing.next(None, 0.2 + BRIDGED) is None
    back = smoothing.next(turned(30), 5.0)
    assert back.anew and not back.bridged
    np.testing.assert_allclose(back.points, turned(30))  # nothing of before is mixed in


def test_the_reference_is_found_and_nothing_jumps():
    """The driver begins turned away and looks ahead later: then the person is as in the photo."""
    turns = [35.0] * 10 + list(np.linspace(35, 0, 25)) + [0.0] * 40
    times = np.arange(len(turns)) / 25
    motion = LiveMotion(MeshTransfer(PERSON))
    made = drawn(motion, LiveSmoothing(smooth=False), [turned(t) for t in turns], times)
    np.testing.assert_allclose(made[-1], PERSON[0], atol=0.5)
    steps = np.abs(np.diff(np.array(made), axis=0)).max(axis=(1, 2))
    assert steps.max() < 12  # of a head 240 pixels high


def test_calibration_says_what_is_neutral_until_the_search_begins_again():
    motion, smoothing = LiveMotion(MeshTransfer(PERSON)), LiveSmoothing(smooth=False)
    assert not motion.calibrate()
    drawn(motion, smoothing, [turned(0)] * 5, np.arange(5) / 25)
    drawn(motion, smoothing, [turned(15)] * 15, 1 + np.arange(15) / 25)
    assert motion.calibrate()
    made = drawn(motion, smoothing, [turned(15)] * 50, 2 + np.arange(50) / 25)
    np.testing.assert_allclose(made[-1], PERSON[0], atol=0.5)
    drawn(motion, smoothing, [turned(0)] * 5, 5 + np.arange(5) / 25)
    motion.search()
    made = drawn(motion, smoothing, [turned(0)] * 50, 6 + np.arange(50) / 25)
    np.testing.assert_allclose(made[-1], PERSON[0], atol=0.5)


def test_another_person_takes_over_at_once_and_mirroring_is_that_of_the_face():
    other = turned(0, scale=80, x=100)[None]
    motion, smoothing = LiveMotion(MeshTransfer(PERSON)), LiveSmoothing(smooth=False)
    drawn(motion, smoothing, [turned(0)] * 3, np.arange(3) / 25)
    motion.use(MeshTransfer(other))
    made = drawn(motion, smoothing, [turned(0)], [1.0])
    np.testing.assert_allclose(made[0], other[0], atol=0.5)
    ahead = drawn(motion, smoothing, [turned(20)], [1.1])[0]
    motion.mirror()
    face = smoothing.next(turned(20), 1.2)
    flipped = motion.move(dataclasses.replace(face, points=mirrored_face(face.points, 0)), 1.2)
    middle = other[0][:, 0].mean()
    np.testing.assert_allclose(
        flipped[:, 0] - middle, mirrored_face(ahead, 1)[:, 0] + middle, atol=1.5
    )


def test_photos_are_chosen_frame_by_frame_as_for_a_whole_film():
    clip = clip_of(4, 5, spec=dataclasses.replace(SPEC, backend="mediapipe"))
    references = PhotoReferences.of(clip)
    driver = clip_of(5, 12, spec=clip.spec)
    targets = torch.from_numpy(driver.mesh / 64).float()
    whole, before = references.choose(targets, 3), None
    for row, target in enumerate(targets):
        chosen = references.choose(target[None], 3, before)
        assert torch.equal(chosen[0], whole[row])
        before = chosen[0]

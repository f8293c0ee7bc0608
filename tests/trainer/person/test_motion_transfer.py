"""Motion transfer: motion travels, face shape and framing do not; smoothing, gaps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_data import clip_of, template

from fsh.schemas.faces.landmarks import similarity
from fsh.trainer.person.motion_transfer import (
    fill_gaps,
    one_euro_filter,
    smooth_landmarks,
    transfer_motion,
)


def moving(frames: int = 20) -> np.ndarray:
    return clip_of(1, frames).landmarks


def test_a_person_driving_themself_is_unchanged():
    driver = moving()
    out = transfer_motion(driver, np.arange(20) / 25, driver[:1], smooth=False, reference=0)
    np.testing.assert_allclose(out, driver, atol=1e-2)


@settings(deadline=None, max_examples=20)
@given(st.floats(0.5, 2.0), st.floats(-30, 30), st.floats(-0.5, 0.5))
def test_the_drivers_framing_does_not_leak(scale, shift, angle):
    driver, person = moving(), template()[None] * 64
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    other = driver @ np.array([[c, s], [-s, c]]) + shift
    options = {"smooth": False, "reference": 3}
    a = transfer_motion(driver, np.arange(20) / 25, person, **options)
    b = transfer_motion(other, np.arange(20) / 25, person, **options)
    np.testing.assert_allclose(a, b, atol=1e-2)


def test_the_drivers_face_shape_does_not_leak():
    driver, person = moving(), template()[None] * 64
    wide = driver[:1] + (driver - driver[:1])  # the same motion …
    wide = wide + (template() * 64 - 32) * [0.3, 0.0]  # … of a face 30 % wider
    out = transfer_motion(wide, np.arange(20) / 25, person, smooth=False, reference=0)
    narrow = transfer_motion(driver, np.arange(20) / 25, person, smooth=False, reference=0)
    own = np.ptp(person[0, :17, 0])
    assert abs(np.ptp(out[0, :17, 0]) - own) < 0.5
    assert np.abs(out - narrow).mean() < 1.5


def test_an_opening_mouth_opens_and_a_turning_head_turns():
    base = template() * 64
    driver = np.stack([base, base, base])
    driver[1, 54:60, 1] += 4
    turn = np.array([[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]])
    driver[2] = (base - 32) @ turn + 32
    person = template()[None] * 64 * [0.9, 1.0]
    out = transfer_motion(driver, np.arange(3) / 25, person, smooth=False, reference=0)
    assert out[1, 57, 1] - out[0, 57, 1] == pytest.approx(4, abs=0.5)
    turned = similarity(out[0], out[2])
    assert np.arctan2(turned[1, 0], turned[0, 0]) == pytest.approx(0.3, abs=0.02)


def test_smoothing_takes_jitter_and_leaves_motion():
    times = np.cumsum(np.random.default_rng(0).uniform(0.03, 0.05, 100))
    clean = np.tile(template() * 64, (100, 1, 1)) + 6 * np.sin(3 * times)[:, None, None]
    noisy = clean + np.random.default_rng(1).normal(size=clean.shape) * 0.5
    out = smooth_landmarks(noisy, times)

    def jitter(track):
        return np.abs(np.diff(track - clean, axis=0)).mean()

    assert jitter(out) < 0.6 * jitter(noisy)
    assert np.abs(out - clean).mean() < np.abs(noisy - clean).mean()


def test_one_euro_holds_a_still_point_and_knows_true_times():
    still = np.ones((10, 2))
    np.testing.assert_allclose(one_euro_filter(still, np.arange(10) / 25, 1.0, 0.1), still)
    step = np.array([0.0, 1.0])
    slow, fast = (one_euro_filter(step, np.array([0, t]), 1.0, 0.0)[1] for t in (1.0, 0.01))
    assert slow > fast


def test_gaps_are_bridged_over_time():
    landmarks = np.stack([np.full((68, 2), float(i)) for i in range(5)])
    landmarks[[0, 2]] = np.nan
    filled, gaps = fill_gaps(landmarks, np.array([0, 1, 2.5, 3, 4]))
    assert gaps == 2 and filled[0, 0, 0] == 1 and filled[2, 0, 0] == pytest.approx(2.5)
    with pytest.raises(ValueError, match="no frame"):
        fill_gaps(np.full((2, 68, 2), np.nan), np.arange(2))

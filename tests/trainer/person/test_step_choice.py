"""When fine-tuning stops: a generator that obeys, one that is a mask, and what is chosen."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_data import template

from fsh.trainer.data.landmark_images import draw_landmarks
from fsh.trainer.person.expressions import expressions
from fsh.trainer.person.step_choice import LOOKS, Look, choose, likeness_of, mimicry_of, most_steps

SHAPE = template() * 256


def dots(points: np.ndarray) -> np.ndarray:
    return draw_landmarks(points, 256)


class Obeys:
    """Stands for the detector: finds the landmarks where a share of the motion put them."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, pictures: np.ndarray, points: np.ndarray) -> np.ndarray:
        assert pictures.shape[1:] == (256, 256, 3) and len(pictures) == len(points)
        return points[0] + self.share * (points - points[0])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_mimicry_is_the_share_of_the_motion_that_was_drawn(share):
    assert mimicry_of(dots, SHAPE, 256, Obeys(share)) == pytest.approx(share, abs=1e-4)


def test_a_face_that_is_not_found_did_not_move():
    lost = lambda pictures, points: np.full_like(points, np.nan)  # noqa: E731
    assert mimicry_of(dots, SHAPE, 256, lost) == 0


def test_overshooting_counts_no_more_and_backwards_no_less():
    assert mimicry_of(dots, SHAPE, 256, Obeys(2.0)) == 1
    assert mimicry_of(dots, SHAPE, 256, Obeys(-1.0)) == 0


def test_small_drawings_are_enlarged():
    small = lambda points: np.stack([cv2.resize(p, (64, 64)) for p in dots(points)])  # noqa: E731
    assert mimicry_of(small, SHAPE, 256, Obeys(0.5)) == pytest.approx(0.5, abs=1e-4)


def test_every_expression_moves_what_it_says_and_little_else():
    unit = np.linalg.norm(SHAPE[45] - SHAPE[36])
    by_name = {e.name: e for e in expressions(SHAPE)}
    for e in by_name.values():
        step = np.linalg.norm(e.points - SHAPE, axis=1)
        assert e.points.shape == (68, 2) and 0 < step.max() < 0.5 * unit
        assert step[e.where].mean() > 0.01 * unit
    opened = by_name["mouth open"].points - SHAPE
    assert opened[57, 1] > 0.2 * unit and abs(opened[51, 1]) < 0.05 * unit
    assert not opened[17:48].any()
    closed = by_name["eyes closed"].points
    before, after = (p[[41, 40]] - p[[37, 38]] for p in (SHAPE, closed))
    assert (after[:, 1] < 0.2 * before[:, 1]).all()
    nose = by_name["turned right"].points[30] - SHAPE[30]
    assert nose[0] > 0.1 * unit


@given(st.floats(0.5, 3), st.floats(-1.0, 1.0), st.floats(-50, 50))
def test_expressions_turn_and_grow_with_the_face(scale, angle, shift):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[c, s], [-s, c]])
    for a, b in zip(expressions(SHAPE), expressions(SHAPE @ matrix + shift), strict=True):
        np.testing.assert_allclose(a.points @ matrix + shift, b.points, atol=1e-6 * scale * 256)


def test_without_judges_the_least_loss_is_chosen():
    assert choose([Look(0, 4.0), Look(10, 2.0), Look(20, 3.0)]) == 10
    assert choose([Look(0, 1.0), Look(10, 1.0)]) == 0


def test_identity_that_freezes_the_face_is_not_worth_it():
    looks = [Look(0, 4.6, 0.87, 0.34), Look(12, 2.0, 0.89, 0.3), Look(45, 1.9, 0.92, 0.28)]
    assert choose([*looks, Look(120, 1.7, 0.94, 0.14)]) == 45
    assert choose([*looks, Look(120, 1.7, 0.94, 0.33)]) == 120


def test_a_little_mimicry_below_the_share_wanted_costs_a_little():
    looks = [Look(0, None, 0.87, 0.30), Look(11, None, 0.88, 0.20), Look(46, None, 0.92, 0.197)]
    assert choose(looks) == 46
    assert choose([*looks[:2], Look(46, None, 0.92, 0.15)]) == 11


def test_of_looks_that_gain_about_as_much_the_last_is_chosen():
    gained = [Look(0, likeness=0.80), Look(5, likeness=0.901), Look(9, likeness=0.899)]
    assert choose(gained) == 9
    assert choose([*gained, Look(12, likeness=0.88)]) == 9


def test_a_person_that_learns_to_move_is_worth_a_hair_of_likeness():
    looks = [Look(0, None, 0.948, 0.24), Look(21, None, 0.93, 0.27), Look(74, None, 0.944, 0.42)]
    assert choose(looks) == 74
    assert choose([*looks[:2], Look(74, None, 0.93, 0.42)]) == 0


def test_fine_tuning_that_gains_nothing_is_not_done():
    assert choose([Look(0, 2.0, 0.9, 0.5), Look(10, 1.0, 0.88, 0.5), Look(20, 1, 0.99, 0.1)]) == 0


def test_a_model_that_moves_nothing_is_judged_by_identity_alone():
    assert choose([Look(0, 4.0, 0.8, 0.01), Look(10, 2.0, 0.9, 0.0)]) == 10


def test_photos_without_an_embedding_are_judged_by_the_loss():
    assert choose([Look(0, 4.0, None, 0.3), Look(9, 2.0, None, 0.3), Look(20, 1, None, 0)]) == 9


def test_likeness_is_the_cosine_with_the_photos():
    axes = np.eye(3, dtype=np.float32)
    points = np.repeat(SHAPE[None], 2, axis=0)
    seen = likeness_of(dots, points, axes[0], 256, lambda pictures, points: axes[:2] * 5)
    assert seen == pytest.approx(0.5)


def test_the_first_look_is_before_any_step_and_the_last_at_the_end():
    assert LOOKS[0] == 0 and LOOKS[-1] == 1 and list(LOOKS) == sorted(LOOKS)
    assert [most_steps(n) for n in (1, 4, 16, 31, 32)] == [120, 66, 90, 120, 120]

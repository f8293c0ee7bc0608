"""Identity similarity and motion fidelity, of drawings that move and of ones that do not."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_analyzer import PlainAnalyzer
from tiny_data import clip_of, template
from untrained import untrained

from fsh.trainer.data.landmark_images import draw_landmarks
from fsh.trainer.person.drawing_quality import (
    identity_similarity,
    motion_fidelity,
    photo_similarity,
)
from fsh.trainer.person.expressions import expressions

SHAPE = template() * 256


def dots(points: np.ndarray) -> np.ndarray:
    return draw_landmarks(points, 256)


class Moves(PlainAnalyzer):
    """Finds the landmarks where a share of the motion asked for put them."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def find_landmarks(self, pictures, near):
        assert pictures.shape[1:] == (256, 256, 3) and len(pictures) == len(near)
        return near[0] + self.share * (near - near[0])


class FindsNothing(PlainAnalyzer):
    def find_landmarks(self, pictures, near):
        return np.full_like(near, np.nan)


class Embeds(PlainAnalyzer):
    """Gives the same embeddings whatever the pictures."""

    def __init__(self, embeddings: np.ndarray) -> None:
        super().__init__()
        self.embeddings = embeddings

    def embed(self, pictures, landmarks):
        return self.embeddings


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_motion_fidelity_is_the_share_of_the_motion_that_was_drawn(share):
    assert motion_fidelity(dots, SHAPE, 256, Moves(share)) == pytest.approx(share, abs=1e-4)


def test_a_face_that_is_not_found_did_not_move():
    assert motion_fidelity(dots, SHAPE, 256, FindsNothing()) == 0


def test_overshooting_counts_no_more_and_backwards_no_less():
    assert motion_fidelity(dots, SHAPE, 256, Moves(2.0)) == 1
    assert motion_fidelity(dots, SHAPE, 256, Moves(-1.0)) == 0


def test_small_drawings_are_enlarged():
    small = lambda points: np.stack([cv2.resize(p, (64, 64)) for p in dots(points)])  # noqa: E731
    assert motion_fidelity(small, SHAPE, 256, Moves(0.5)) == pytest.approx(0.5, abs=1e-4)


def test_every_expression_moves_what_it_says_and_little_else():
    unit = np.linalg.norm(SHAPE[45] - SHAPE[36])
    by_name = {e.name: e for e in expressions(SHAPE)}
    for e in by_name.values():
        step = np.linalg.norm(e.landmarks - SHAPE, axis=1)
        assert e.landmarks.shape == (68, 2) and 0 < step.max() < 0.5 * unit
        assert step[e.measured].mean() > 0.01 * unit
    opened = by_name["mouth open"].landmarks - SHAPE
    assert opened[57, 1] > 0.2 * unit and abs(opened[51, 1]) < 0.05 * unit
    assert not opened[17:48].any()
    closed = by_name["eyes closed"].landmarks
    before, after = (p[[41, 40]] - p[[37, 38]] for p in (SHAPE, closed))
    assert (after[:, 1] < 0.2 * before[:, 1]).all()
    nose = by_name["turned right"].landmarks[30] - SHAPE[30]
    assert nose[0] > 0.1 * unit


@given(st.floats(0.5, 3), st.floats(-1.0, 1.0), st.floats(-50, 50))
def test_expressions_turn_and_grow_with_the_face(scale, angle, shift):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[c, s], [-s, c]])
    for a, b in zip(expressions(SHAPE), expressions(SHAPE @ matrix + shift), strict=True):
        np.testing.assert_allclose(
            a.landmarks @ matrix + shift, b.landmarks, atol=1e-6 * scale * 256
        )


def test_identity_similarity_is_the_cosine_with_the_photos():
    axes = np.eye(3, dtype=np.float32)
    points = np.repeat(SHAPE[None], 2, axis=0)
    analyzer = Embeds(axes[:2] * 5)
    assert identity_similarity(dots, points, axes[0], 256, analyzer) == pytest.approx(0.5)


def test_photos_are_compared_with_their_own_redrawings():
    person, photos = untrained(), clip_of(3, 10)
    assert photo_similarity(person, photos, PlainAnalyzer()) is None
    known = replace(photos, embedding=np.array([3, 4], np.float32))
    analyzer = Embeds(np.array([[2, 0]], np.float32))
    assert photo_similarity(person, known, analyzer) == pytest.approx(0.6)

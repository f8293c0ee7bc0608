"""Identity embeddings of a real portrait."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from faces_helpers import MIRROR, detector, dlib_landmarks, portrait, portrait_points

from fsh.pipeline.faces.embedding import SAME_PERSON, embed_face, embed_faces


def test_embeddings_tell_people_apart():
    image, points = portrait(), portrait_points()
    own = embed_face(image, points)
    assert own.shape == (128,) and own.dtype == np.float32
    mirrored = np.stack([511 - points[:, 0], points[:, 1]], axis=1)[MIRROR]
    assert np.linalg.norm(own - embed_face(image[:, ::-1], mirrored)) < SAME_PERSON / 2
    # A longer face with another skin is somebody else.
    other = cv2.resize(cv2.medianBlur(image, 15), (512, 700))
    (face,) = detector().detect_scaled(other, 600)
    elsewhere = dlib_landmarks().landmarks(other[None], face.box[None]).points[0]
    assert np.linalg.norm(own - embed_face(other, elsewhere)) > SAME_PERSON


@pytest.mark.parametrize("points", [np.full((68, 2), np.nan), np.zeros((5, 2))])
def test_embedding_wants_landmarks(points):
    with pytest.raises(ValueError, match="68"):
        embed_face(portrait(), points)


def test_several_faces_give_what_each_gives_alone():
    image, points = portrait(), portrait_points()
    both = embed_faces([image, image], [points, points])
    assert both.shape == (2, 128)
    np.testing.assert_allclose(both, [embed_face(image, points)] * 2, atol=1e-5)

"""The embedding network against dlib's own run of it."""

from __future__ import annotations

import cv2
import dlib
import numpy as np
import pytest
from faces_helpers import portrait

from fsh.pipeline.faces.embedding_network import EmbeddingNetwork
from fsh.schemas.errors import FshError
from fsh.schemas.recognizer import CHIP_SIDE, RECOGNIZER, model_file


def chips() -> np.ndarray:
    """uint8 (3, 150, 150, 3): a face, the same turned, and noise."""
    face = cv2.resize(portrait()[60:210, 150:300], (CHIP_SIDE, CHIP_SIDE))
    noise = np.random.default_rng(0).integers(0, 256, face.shape, np.uint8)
    return np.stack([face, np.rot90(face), noise])


def test_embeddings_equal_dlibs():
    theirs = dlib.face_recognition_model_v1(str(model_file(RECOGNIZER)))
    wanted = [theirs.compute_face_descriptor(np.ascontiguousarray(chip)) for chip in chips()]
    found = EmbeddingNetwork(model_file(RECOGNIZER))(chips())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.array(wanted), atol=1e-5)
    assert np.abs(found[0] - found[2]).max() > 0.1


def test_an_embedding_does_not_depend_on_the_batch():
    network = EmbeddingNetwork(model_file(RECOGNIZER))
    together = network(chips())
    np.testing.assert_allclose(network(chips()[1:2])[0], together[1], atol=1e-5)


@pytest.mark.parametrize("keep", [100, 19_390, 22_000_000])
def test_another_file_is_refused(tmp_path, keep):
    broken = tmp_path / "broken.dat"
    broken.write_bytes(model_file(RECOGNIZER).read_bytes()[:keep])
    with pytest.raises(FshError, match="not dlib's face recognition network"):
        EmbeddingNetwork(broken)

"""``fsh.personalize(size=…)``: what a run cannot draw is refused before the photos are read."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image
from tiny_data import FaceSpec
from tiny_run import TINY, Told, tiny_config, tiny_folder

import fsh
from fsh.trainer.training.loop import train


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photos" / "nobody.png"
    path.parent.mkdir()
    Image.fromarray(np.zeros((90, 90, 3), np.uint8)).save(path)
    return path.parent


@pytest.mark.parametrize(
    ("references", "size", "message"),
    [
        (0, 512, "pictures of 512 pixels, and this run draws 32 .*leave --size out"),
        (2, 32, "pictures of 32 pixels, and this run draws 64 .*give 64 to 1024"),
        (2, 2000, "pictures of 2000 pixels, and this run draws 64 .*give 64 to 1024"),
        (2, 64, "no face to work with"),
    ],
)
def test_sizes(tmp_path, photo, references, size, message):
    network = dataclasses.replace(TINY, references=references, picture=64 if references else 0)
    data = tiny_folder(tmp_path / "data", spec=FaceSpec(size=64, backend="mediapipe"))
    train(data, tmp_path / "run", tiny_config(steps=1, network=network), Told())
    with pytest.raises(fsh.FshError, match=message):
        fsh.personalize(photo, tmp_path / "person", run=tmp_path / "run", size=size)

"""Which landmark backend ``fsh shard`` takes for a folder that has a data set already."""

from __future__ import annotations

from dataclasses import replace

import pytest
from faces_helpers import Told
from tiny_data import SPEC, write_data

from fsh.dataset_making import landmark_backend_for
from fsh.pipeline.faces import backends
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder


@pytest.fixture
def anything_goes(monkeypatch):
    """Whatever is wanted can be had; ``auto`` is mediapipe."""
    monkeypatch.setattr(
        backends, "choose_backend", lambda name, _: "mediapipe" if name == "auto" else name
    )


def data_of(folder, backend: str) -> DataFolder:
    return write_data(folder, people=1, samples=1, frames=2, spec=replace(SPEC, backend=backend))


def test_auto_keeps_a_folders_backend_and_says_so(tmp_path, anything_goes):
    told = Told()
    assert landmark_backend_for(data_of(tmp_path, "dlib"), "auto", told) == "dlib"
    (line,) = told.lines
    assert line.startswith(f"landmarks: dlib, as {tmp_path} was made with; --landmarks mediapipe")
    assert landmark_backend_for(DataFolder(tmp_path / "new"), "auto", told) == "mediapipe"
    assert len(told.lines) == 1


@pytest.mark.parametrize(
    ("before", "wanted", "how"),
    [("dlib", "mediapipe", "of the stored crops"), ("mediapipe", "dlib", "of the videos")],
)
def test_another_backend_says_what_it_means(tmp_path, anything_goes, before, wanted, how):
    told, data = Told(), data_of(tmp_path, before)
    assert landmark_backend_for(data, wanted, told) == wanted
    (line,) = told.lines
    assert f"was made with {before}" in line and how in line and wanted in line
    assert landmark_backend_for(data, before, told) == before and len(told.lines) == 1


def test_a_damaged_card_does_not_stop_it(tmp_path, anything_goes):
    data = data_of(tmp_path, "dlib")
    data.card.write_text("nothing")
    assert landmark_backend_for(data, "auto", Told()) == "mediapipe"


def test_a_folders_backend_that_cannot_be_had_is_an_error(tmp_path, monkeypatch):
    def refuse(name, _):
        raise FshError(f"no {name} here")

    monkeypatch.setattr(backends, "choose_backend", refuse)
    with pytest.raises(FshError, match="no fan here"):
        landmark_backend_for(data_of(tmp_path, "fan"), "auto", Told())

"""Another landmark backend on a finished span: the bytes of an analysis, without the video."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from faces_helpers import face_landmarker
from videos import moving, write_video

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans import analysis as span_analysis
from fsh.pipeline.dataset.spans.analysis import analyze_span
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.dataset.spans.relandmarking import relandmark_span
from fsh.schemas.errors import FshError
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.tables.parquet import read_clips, write_clips
from fsh.schemas.tables.records import RejectReason

TREES = AnalysisConfig(spec=FaceSpec(size=128))
MESHES = replace(TREES, spec=FaceSpec(size=128, backend="mediapipe"))


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """A data folder whose span was analysed with dlib, a brief track among its clips; the span."""
    face_landmarker()
    root = tmp_path_factory.mktemp("data")
    frames = [*moving(1.6), *(f // 2 for f in moving(0.4, mirrored=True))]
    path = write_video(root / "talk.mp4", frames)
    data, span = DataFolder(root), Span("v-test", 0.0, 60.0, path.name, "0" * 64)
    analyze_span(data, span, TREES)
    reasons = {clip.reason for clip in read_clips(span.folder(data, TREES).clips) if clip.clip_id}
    assert reasons == {None, RejectReason.BRIEF_TRACK}
    return data, span


def files(data: DataFolder, span: Span) -> dict[str, bytes]:
    root = span.folder(data, MESHES).root
    return {path.name: path.read_bytes() for path in root.iterdir()}


def test_the_bytes_are_those_of_an_analysis_and_no_video_is_decoded(analysed, monkeypatch):
    data, span = analysed
    with monkeypatch.context() as patch:
        patch.setattr(span_analysis, "relandmark_span", lambda *_: None)
        analyze_span(data, span, MESHES)
    wanted = files(data, span)
    shutil.rmtree(span.folder(data, MESHES).root)
    monkeypatch.setattr(span_analysis, "find_tracks", None)
    assert analyze_span(data, span, MESHES) == 1
    assert files(data, span) == wanted and len(wanted) == 2


@pytest.mark.parametrize("damage", ["cut", "gone", "failed frames", "failed"])
def test_what_is_not_whole_is_analysed(analysed, tmp_path, damage):
    data, span = DataFolder(shutil.copytree(analysed[0].root, tmp_path / "data")), analysed[1]
    shutil.rmtree(span.folder(data, MESHES).root, ignore_errors=True)
    folder = span.folder(data, TREES)
    (tar,) = folder.root.glob("*.tar")
    clips = read_clips(folder.clips)
    if damage == "cut":
        tar.write_bytes(tar.read_bytes()[:-512000])
    elif damage == "gone":
        tar.unlink()
    else:
        change = {"failed frames": {"frames_failed": 1}, "failed": {"reason": RejectReason.TIMEOUT}}
        write_clips([replace(clip, **change[damage]) for clip in clips], folder.clips)
    assert relandmark_span(data, span, MESHES) is None


def test_dlibs_landmarks_are_not_made_of_stored_pictures(analysed):
    data, span = analysed
    other = replace(TREES, spec=FaceSpec(size=128, backend="fan"))
    assert relandmark_span(data, span, other) is None
    with pytest.raises(FshError):
        analyze_span(data, replace(span, path="gone.mp4"), other)

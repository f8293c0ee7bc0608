"""Results of an older version brought up to date: the bytes of an analysis, no picture decoded."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from faces_helpers import face_landmarker
from old_layout import to_old_layout
from videos import moving, write_video

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans import analysis as span_analysis
from fsh.pipeline.dataset.spans.analysis import analyze_span
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.dataset.spans.upgrading import upgrade_span
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.tables.parquet import read_clips, write_clips
from fsh.schemas.tables.records import RejectReason

LATER = ("speech", "sync_offset", "sync_confidence", "motion_print")


def analysis_of(backend: str) -> AnalysisConfig:
    return AnalysisConfig(spec=FaceSpec(size=128, backend=backend), audio=backend == "dlib")


@pytest.fixture(params=["dlib", "mediapipe"])
def analysed(request, tmp_path):
    """A span's results, the same as version 4 would have them, the span, and the settings."""
    face_landmarker()
    options = ["-f", "lavfi", "-i", "sine=300:d=2", "-shortest"]
    path = write_video(tmp_path / "talk.mp4", moving(1.8), options=options)
    data, span = DataFolder(tmp_path), Span("v-test", 0.0, 60.0, path.name, "0" * 64)
    today = analysis_of(request.param)
    analyze_span(data, span, today)
    new, old = span.folder(data, today), span.folder(data, replace(today, version=4))
    shutil.copytree(new.root, old.root)
    for tar in old.root.glob("*.tar"):
        to_old_layout(tar, end=False)
    clips = read_clips(old.clips)
    write_clips([replace(c, **dict.fromkeys(LATER)) for c in clips], old.clips)
    return data, span, today


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.root.iterdir()}


def test_the_bytes_are_those_of_an_analysis(analysed, monkeypatch):
    data, span, today = analysed
    folder = span.folder(data, today)
    wanted = files(folder)
    shutil.rmtree(folder.root)
    monkeypatch.setattr(span_analysis, "find_tracks", None)
    assert analyze_span(data, span, today) == 1
    assert files(folder) == wanted and len(wanted) == 2
    (clip,) = [clip for clip in read_clips(folder.clips) if clip.clip_id]
    assert clip.speech is not None and clip.speech < 0.1, "a tone is no voice"
    assert clip.motion_print and clip.text_overlap is None
    texts = replace(today, text=True)
    assert analyze_span(data, span, texts) == 1
    (clip,) = [one for one in read_clips(span.folder(data, texts).clips) if one.clip_id]
    assert clip.text_overlap == 0 and clip.motion_print


@pytest.mark.parametrize("damage", ["cut", "failed"])
def test_what_is_not_whole_is_analysed(analysed, damage):
    data, span, today = analysed
    shutil.rmtree(span.folder(data, today).root)
    old = span.folder(data, replace(today, version=4))
    if damage == "cut":
        (tar,) = old.root.glob("*.tar")
        tar.write_bytes(tar.read_bytes()[:-51200])
    else:
        clips = read_clips(old.clips)
        write_clips([replace(clip, reason=RejectReason.TIMEOUT) for clip in clips], old.clips)
    assert upgrade_span(data, span, today) is None


def test_older_versions_ended_a_span_after_the_end_that_a_video_states(analysed, monkeypatch):
    """Their results are found all the same; by a change of backend too."""
    data, span, today = analysed
    shutil.rmtree(span.folder(data, today).root)
    now = replace(span, end=1.8, open_end=True)
    older = replace(today, version=4)
    then = replace(now, end=2.8, open_end=False).folder(data, older)
    span.folder(data, older).root.rename(then.root)
    monkeypatch.setattr(span_analysis, "find_tracks", None)
    assert analyze_span(data, now, today) == 1
    (clip,) = [one for one in read_clips(now.folder(data, today).clips) if one.clip_id]
    assert clip.motion_print and clip.cover_end is not None
    if today.spec.backend == "dlib":
        shutil.rmtree(now.folder(data, today).root)
        meshes = replace(today, spec=replace(today.spec, backend="mediapipe"))
        assert analyze_span(data, now, meshes) == 1
    assert upgrade_span(data, replace(now, end=1.9), today) is None, "another video's"

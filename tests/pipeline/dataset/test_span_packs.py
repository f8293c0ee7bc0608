"""Packs of spans' tables: they say what the tables say, or nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans import packs as span_packs
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.dataset.spans.packs import read_packs
from fsh.pipeline.dataset.spans.store import read_finished, remove_stale_spans
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.tables.parquet import write_clips
from fsh.schemas.tables.records import Clip, RejectReason

ANALYSIS = AnalysisConfig()
SPANS = [Span(f"v-{n}", 0.0, 10.0, f"videos/v-{n}.mp4", "0" * 64) for n in range(4)]


def rows(span: Span) -> list[Clip]:
    """A clip without samples, and a stretch without a face."""
    video = span.video_id
    clip = Clip(clip_id=f"{video}_00000000_00", video_id=video, reason=RejectReason.BRIEF_TRACK)
    return [clip, Clip(video_id=video, start=1.0, end=10.0, reason=RejectReason.NO_FACE)]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    monkeypatch.setattr(span_packs, "LEAST", 2)
    data = DataFolder(tmp_path)
    for span in SPANS:
        folder = span.folder(data, ANALYSIS)
        folder.root.mkdir(parents=True)
        write_clips(rows(span), folder.clips)
    return data


def found(data: DataFolder) -> list[Clip]:
    finished = read_finished(data, SPANS, ANALYSIS)
    assert finished is not None
    return [one.clip for one in finished]


def test_tables_are_opened_once(data, monkeypatch):
    wanted = [clip for span in SPANS for clip in rows(span)]
    assert found(data) == wanted
    assert len(list(data.packs.iterdir())) == 1
    monkeypatch.setattr("fsh.pipeline.dataset.spans.store.read_table", None)  # cannot be called
    assert found(data) == wanted


def test_a_table_that_changed_is_read_again(data):
    found(data)
    folder = SPANS[1].folder(data, ANALYSIS)
    changed = [replace(clip, error="x" * 500) for clip in rows(SPANS[1])]
    folder.clips.unlink()
    write_clips(changed, folder.clips)
    assert found(data)[2:4] == changed
    SPANS[2].folder(data, ANALYSIS).clips.unlink()
    assert read_finished(data, SPANS, ANALYSIS) is None


@pytest.mark.parametrize("content", [b"", b"no parquet"])
def test_a_damaged_pack_says_nothing(data, content):
    wanted = found(data)
    (pack,) = data.packs.iterdir()
    pack.write_bytes(content)
    assert read_packs(data, ANALYSIS) == {}
    assert found(data) == wanted


def test_packs_of_other_settings_go(data):
    found(data)
    remove_stale_spans(data, SPANS, ANALYSIS)
    assert len(list(data.packs.iterdir())) == 1
    remove_stale_spans(data, [], replace(ANALYSIS, span=60.0))
    assert not list(data.packs.iterdir())


def test_few_spans_are_not_packed(data, monkeypatch):
    monkeypatch.setattr(span_packs, "LEAST", 5)
    found(data)
    assert not data.packs.exists()

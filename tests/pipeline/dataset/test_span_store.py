"""What is stored of spans: failures, what is left to do, finished clips and their tars."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.dataset.spans.store import (
    FinishedClip,
    pending_spans,
    read_finished,
    record_failure,
    remove_stale_spans,
)
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.tables.parquet import read_clips, write_clips
from fsh.schemas.tables.records import Clip, RejectReason

ANALYSIS = AnalysisConfig()
SPANS = [Span("v-a", 0.0, 5.0, "videos/a.mp4", "0"), Span("v-b", 0.0, 5.0, "videos/b.mp4", "1")]
CROPPED = Clip(clip_id="v-b_00000000_00", video_id="v-b", samples=2)
BRIEF = Clip(clip_id="v-b_00001000_01", video_id="v-b", reason=RejectReason.BRIEF_TRACK)
FACELESS = Clip(video_id="v-b", reason=RejectReason.NO_FACE)


@pytest.fixture
def data(tmp_path) -> DataFolder:
    """The first span failed, the second gave a clip and two rejects."""
    folder = DataFolder(tmp_path)
    record_failure(
        folder, SPANS[0], ANALYSIS, RejectReason.TIMEOUT, f"{tmp_path}/videos/a.mp4: no result"
    )
    write_clips([CROPPED, BRIEF, FACELESS], SPANS[1].folder(folder, ANALYSIS).clips)
    return folder


def test_a_failure_is_a_row_that_does_not_say_where_the_data_lies(data):
    (failed,) = read_clips(SPANS[0].folder(data, ANALYSIS).clips)
    assert (failed.reason, failed.kept, failed.start, failed.end) == ("timeout", False, 0.0, 5.0)
    assert failed.error == "videos/a.mp4: no result"


def test_only_failed_spans_are_tried_again_and_only_if_asked(data):
    later = replace(SPANS[1], start=5.0, end=9.0)
    assert pending_spans(data, [*SPANS, later], ANALYSIS, retry_failed=False) == [later]
    assert pending_spans(data, SPANS, ANALYSIS, retry_failed=True) == [SPANS[0]]
    assert pending_spans(data, SPANS, ANALYSIS, retry_failed=False) == [SPANS[0]]


def test_finished_clips_come_with_their_tars_if_they_were_cropped(data):
    span = SPANS[1].folder(data, ANALYSIS)
    folder = span.root.relative_to(data.root)
    span.clip(CROPPED.clip_id).touch()
    assert read_finished(data, SPANS[1:], ANALYSIS) == [
        FinishedClip(CROPPED, f"{folder}/v-b_00000000_00.tar"),
        FinishedClip(BRIEF, ""),
        FinishedClip(FACELESS, ""),
    ]


@pytest.mark.parametrize("damage", ["tar", "table"])
def test_a_span_with_damaged_results_is_pending_again(data, damage):
    span = SPANS[1].folder(data, ANALYSIS)
    if damage == "table":
        span.clips.write_bytes(b"PAR1 cut short")
    assert read_finished(data, SPANS[1:], ANALYSIS) is None
    assert pending_spans(data, SPANS, ANALYSIS, retry_failed=False) == [SPANS[1]]


def test_results_that_nobody_asks_for_any_more_go(data):
    other = SPANS[1].folder(data, replace(ANALYSIS, max_fps=5)).clips
    write_clips([], other)
    data.shard_notes.mkdir()
    remove_stale_spans(data, SPANS[1:], ANALYSIS)
    assert {path.name for path in data.work.iterdir()} == {"v-b", data.shard_notes.name}
    assert not other.exists() and SPANS[1].folder(data, ANALYSIS).clips.is_file()

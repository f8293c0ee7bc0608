"""Spans: what is wanted of each video, divided into stretches, and where their results are kept."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans.division import Span, divide_range, merge_ranges, plan_spans
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.tables.records import Source, SourceState

ANALYSIS = AnalysisConfig()

_range = st.tuples(st.floats(0, 500), st.floats(0, 500))


@settings(deadline=None)
@given(st.lists(_range, max_size=8))
def test_merged_ranges_cover_the_same_once(ranges):
    merged = merge_ranges(ranges)
    assert all(a < b for a, b in merged)
    assert all(a[1] < b[0] for a, b in pairwise(merged))
    for point in [p for r in ranges for p in (r[0], (r[0] + r[1]) / 2)]:
        wanted = any(a <= point < b for a, b in ranges)
        assert any(a <= point < b for a, b in merged) == wanted


@settings(deadline=None)
@given(st.floats(0, 1000), st.floats(0.01, 5000), st.floats(1, 300))
def test_a_range_is_divided_without_gap_or_crumb(start, seconds, length):
    parts = divide_range(start, start + seconds, length)
    assert parts[0][0] == start and parts[-1][1] == start + seconds
    assert all(a[1] == b[0] for a, b in pairwise(parts))
    assert all(b - a <= 1.26 * length for a, b in parts)
    assert len(parts) == 1 or min(b - a for a, b in parts) > 0.2 * length


def test_several_ranges_of_one_video():
    stored = {"url": "a.mp4", "state": SourceState.STORED, "path": "videos/v.mp4", "sha256": "0"}
    whole = Source(request_id="0", video_id="v", duration=300.0, **stored)
    ranges = [(10.0, 20.0), (15.0, 30.0), (100.0, 400.0)]
    sources = [replace(whole, start=start, end=end) for start, end in ranges]
    assert [(span.start, span.end) for span in plan_spans(sources, 120.0)] == [
        (10.0, 30.0),
        (100.0, 220.0),
        (220.0, 340.0),
        (340.0, 400.0),
    ]
    assert [(span.start, span.end) for span in plan_spans([whole], 400.0)] == [(0.0, 300.0)]
    open_ends = [span.open_end for span in plan_spans([whole], 100.0)]
    assert open_ends == [False, False, True]
    assert not any(span.open_end for span in plan_spans(sources, 120.0))


def test_the_folder_of_a_span_depends_on_what_decides_its_pixels():
    data, span = (
        DataFolder(Path("d")),
        Span("v-a", 0.0, 5.0, "videos/a.mp4", "0" * 64),
    )
    folders = {
        span.folder(data, ANALYSIS),
        span.folder(data, replace(ANALYSIS, max_fps=12)),
        replace(span, sha256="1" * 64).folder(data, ANALYSIS),
        replace(span, end=6.0).folder(data, ANALYSIS),
    }
    assert len(folders) == 4
    assert replace(span, path="elsewhere.mp4").folder(data, ANALYSIS) in folders


def test_another_version_of_the_analysis_is_another_folder():
    data, span = DataFolder(Path("d")), Span("v-a", 0.0, 5.0, "videos/a.mp4", "0" * 64)
    later = replace(ANALYSIS, version=ANALYSIS.version + 1)
    assert span.folder(data, later) != span.folder(data, ANALYSIS)

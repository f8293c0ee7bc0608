"""Every second of a video is kept or rejected with a reason, and the sums agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_media import AAC, BOTH, CLOCKS, PICTURE, joined, make
from videos import moving, write_video

import fsh
from fsh.pipeline.dataset.accounting import (
    SpanFrames,
    accounted,
    counted,
    rest_of,
    row_without_clip,
    seconds_of,
)
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.media.shots import Shot
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.card import DatasetCard
from fsh.schemas.tables.parquet import read_clips, read_sources
from fsh.schemas.tables.records import Clip, RejectReason

SPAN = Span("v", 2.0, 12.0, "v.mp4", "0")


def total_of(seconds) -> float:
    return seconds.kept + sum(seconds.rejected.values())


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_the_rows_of_a_span_cover_it_whatever_its_frames_and_tracks(data):
    steps = data.draw(st.lists(st.sampled_from([0.033, 0.04, 0.041, 0.5, 1.0, 4.0]), max_size=60))
    times = 2.0 + data.draw(st.floats(0, 3)) + np.cumsum([0.0, *steps])
    is_open, duration = data.draw(st.booleans()), data.draw(st.floats(0, 40))
    span = replace(SPAN, open_end=is_open)
    if not is_open:
        times = times[times < span.end]
    count = len(times)
    footage = SpanFrames.of_frames(times, span, duration)
    assert (footage.begins[1:] >= footage.ends[:-1] - 1e-9).all()
    tracks, rows = [], []
    for _ in range(data.draw(st.integers(0, 4)) if count else 0):
        first = data.draw(st.integers(0, count - 1))
        tracks.append(np.arange(first, data.draw(st.integers(first, count - 1)) + 1))
        start, end = footage.covered(tracks[-1])
        reason = data.draw(st.sampled_from([None, RejectReason.BLURRED, RejectReason.TINY_FACE]))
        rows.append(
            Clip(
                clip_id=f"v_{len(rows)}",
                video_id="v",
                cover_start=start,
                cover_end=end,
                reason=reason,
                kept=reason is None,
            )
        )
    middle = count // 2
    shots = [Shot(0, middle), Shot(min(middle + 2, count), count)] if count else []
    searched = range(0, count, 3)
    for reason, start, end in rest_of(footage, tracks, shots, searched):
        assert start < end
        rows.append(row_without_clip(span, (8, 8), reason, start, end))
    spent = seconds_of(rows, [span])
    assert total_of(spent) == pytest.approx(spent.total, abs=0.0005 * (len(rows) + 1))
    assert spent.total >= footage.end - footage.start - 0.002
    assert footage.end >= span.end if is_open else footage.end == span.end
    assert (spent.kept > 0) == any(row.kept for row in rows)


def row(start: float, end: float, reason: RejectReason | None, name: str | None = "c") -> Clip:
    return Clip(
        clip_id=name,
        video_id="v",
        cover_start=start,
        cover_end=end,
        reason=reason,
        kept=reason is None,
    )


def test_a_moment_is_counted_once_as_kept_or_for_the_face_that_came_furthest():
    rows = [
        row(0, 4, RejectReason.TINY_FACE),
        row(2, 6, RejectReason.BLURRED),
        row(5, 8, None),
        row(7, 9, None),
        row(9, 10, RejectReason.NO_FACE, None),
    ]
    spent = seconds_of(rows)
    assert (spent.total, spent.kept) == (10, 4)
    assert spent.rejected == {"blurred": 3, "no_face": 1, "tiny_face": 2}
    assert spent.to_card() == {"in": 10, "kept": 4, "blurred": 3, "no_face": 1, "tiny_face": 2}
    assert counted(rows) == {"blurred": 1, "tiny_face": 1}
    faceless = [row(0, 1, RejectReason.NO_PICTURE, None), row(1, 5, RejectReason.NO_FACE, None)]
    assert counted(faceless) == {"no_face": 1}


def test_what_lies_beside_a_track_and_was_not_searched_is_its_edge():
    times = np.arange(10) / 10
    footage = SpanFrames.of_frames(times, Span("v", 0.0, 1.0, "", ""), 1.0)
    found = list(rest_of(footage, [np.arange(3, 5)], [Shot(0, 8)], [0, 3, 6]))
    assert [(reason.value, round(a, 6), round(b, 6)) for reason, a, b in found] == [
        ("no_face", 0.0, 0.1),
        ("edge", 0.1, 0.3),
        ("edge", 0.5, 0.6),
        ("no_face", 0.6, 0.8),
        ("transition", 0.8, 1.0),
    ]


@pytest.fixture(scope="module")
def odd(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("odd")
    names = ("browser.webm", "offset.ts", "offset.mkv", "camera.MTS", "disc.vob", "rgb.avi")
    files = {name: make(folder / name, CLOCKS[name]) for name in names}
    part = make(folder / "part.ts", f"{BOTH} {AAC}")
    files["joined.ts"] = joined(folder / "joined.ts", part, part)
    files["long.mp4"] = make(folder / "long.mp4", f"{PICTURE} -f lavfi -i sine=d=4 {AAC}")
    late = f"-itsoffset 0.8 {BOTH} -map 0:v -map 1:a {AAC}"
    files["late.mkv"] = make(folder / "late.mkv", late)
    pause = f"{PICTURE} -bf 0 -vf setpts=PTS+gte(N\\,20)*9/TB -fps_mode vfr"
    files["pause.mp4"] = make(folder / "pause.mp4", pause)
    files["lapse.mp4"] = make(folder / "lapse.mp4", "-f lavfi -i testsrc2=s=96x64:r=1:d=5")
    files["face.mp4"] = write_video(folder / "face.mp4", moving(1.6))
    files["face.mkv"] = make(
        folder / "face.mkv", f"-i {files['face.mp4']} -c copy -f matroska pipe:"
    )
    return files


@pytest.mark.slow
def test_of_every_odd_input_each_second_is_accounted_for(odd, tmp_path):
    fsh.ingest(list(map(str, odd.values())), tmp_path)
    sources = read_sources(DataFolder(tmp_path).sources)
    assert all(source.state == "stored" for source in sources), [s.error for s in sources]
    report = fsh.shard(tmp_path, landmarks="dlib", workers=1)
    rejected = report.seconds_rejected
    assert report.seconds_in == pytest.approx(sum(s.duration for s in sources), abs=0.1)
    assert report.seconds_kept + sum(rejected.values()) == pytest.approx(report.seconds_in)
    assert report.clips_kept == 2 and 2.5 < report.seconds_kept <= 3.3
    assert "unreadable" not in rejected
    # The pause, what only sounds, and what sounds before the first picture.
    assert rejected["no_picture"] == pytest.approx(8 + 2.4 + 0.8, abs=0.5)
    card = DatasetCard.read(DataFolder(tmp_path).card)
    assert card.seconds == {"in": report.seconds_in, "kept": report.seconds_kept, **rejected}
    by_video = Counter()
    for clip in read_clips(DataFolder(tmp_path).clips):
        by_video[clip.video_id] += clip.cover_end - clip.cover_start
    for source in sources:
        assert by_video[source.video_id] == pytest.approx(source.duration, abs=0.05), source.url


def test_what_an_older_table_left_out_is_not_called_a_face_missing():
    rows = [
        Clip(clip_id="v_2_0", video_id="v", start=2.0, end=4.0, width=640, height=360, kept=True),
        Clip(clip_id="v_4_1", video_id="v", start=4.1, end=7.0, reason=RejectReason.BLURRED),
    ]
    found = accounted(rows, SPAN)
    rest = [(r.reason, r.cover_start, r.cover_end) for r in found if r.clip_id is None]
    assert rest == [(RejectReason.EDGE, 4.0, 4.1), (RejectReason.NOT_RECORDED, 7.0, 12.0)]
    seconds = seconds_of(found, [SPAN])
    assert total_of(seconds) == pytest.approx(seconds.total) == pytest.approx(10.0)
    assert seconds.rejected == {"blurred": 2.9, "edge": 0.1, "not_recorded": 5.0}
    assert accounted(found, SPAN) == found, "rows that account for every second stay"
    nobody = Clip(video_id="v", start=2.0, end=12.0, reason=RejectReason.NO_FACE)
    assert [r.reason for r in accounted([nobody], SPAN)] == [RejectReason.NO_FACE]

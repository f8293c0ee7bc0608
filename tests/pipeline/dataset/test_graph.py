"""The whole of ``fsh shard`` on a named runner: the same data set, however it was made."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

import pytest
from damage import zero_frames
from erasable import contents
from tiny_run import Told
from videos import ingest, moving, write_video

from fsh.pipeline.dataset.config import ShardConfig
from fsh.pipeline.dataset.graph import shard
from fsh.pipeline.dataset.sources import stored_sources
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.progress import Silent
from fsh.schemas.shards.card import DatasetCard
from fsh.schemas.tables.columns import CLIPS
from fsh.schemas.tables.parquet import read_clips, read_table
from fsh.schemas.tables.records import RejectReason
from fsh.schemas.throughput import Throughput

CONFIG = ShardConfig()


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Three small videos and one file that is none."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "broken.mp4").write_bytes(b"nothing" * 50)
    return {
        write_video(folder / "a.mp4", moving(1.6)): "ann",
        write_video(folder / "b.mp4", moving(1.4, mirrored=True)): "bob",
        write_video(folder / "c.mp4", [frame // 2 for frame in moving(1.2)]): "cyd",
        folder / "broken.mp4": "dan",
    }


@pytest.fixture(scope="module")
def made(videos, tmp_path_factory):
    data = ingest(tmp_path_factory.mktemp("made"), videos)
    return data, shard(data, CONFIG, runner="FnApiRunner", progress=Silent())


def test_the_report_and_the_tables_agree(made):
    data, report = made
    assert report.to_json().keys() == {
        "videos",
        "clips_kept",
        "clips_rejected",
        "seconds_in",
        "seconds_kept",
        "seconds_rejected",
        "samples",
        "shards",
        "seconds",
        "realtime_factor",
        "clips_per_second",
        "core_seconds_per_minute",
    }
    assert (report.videos, report.clips_kept, report.clips_rejected) == (4, 3, {"unreadable": 1})
    assert report.seconds_in == pytest.approx(1.6 + 1.4 + 1.2 + 1)  # the broken one said nothing
    rejected = sum(report.seconds_rejected.values())
    assert report.seconds_in == pytest.approx(report.seconds_kept + rejected)
    assert report.seconds_rejected["unreadable"] == 1 and report.seconds_kept > 3
    clips = read_clips(data.clips)
    card = DatasetCard.read(data.card)
    assert {clip.identity for clip in clips if clip.kept} == {"ann", "bob", "cyd"}
    assert {clip.split for clip in clips if clip.kept} == {"train", "val", "test"}
    for info in card.shards:
        path = data.root / info.path
        assert hashlib.sha256(path.read_bytes()).hexdigest() == info.sha256
    for clip in clips:
        if clip.kept:
            content = (data.root / clip.shard).read_bytes()
            part = content[clip.offset : clip.offset + clip.bytes]
            assert part.startswith(f"{clip.clip_id}_0000.json".encode())
            assert clip.shard.startswith(f"shards/{clip.split}/")
        elif clip.reason is RejectReason.UNREADABLE:
            assert clip.shard is None and "not a readable video" in clip.error
        else:
            assert (clip.reason, clip.clip_id, clip.shard) == (RejectReason.EDGE, None, None)


def test_where_the_time_went_is_told(made):
    data, report = made
    known = Throughput.read(data.throughput)
    (run,) = known.runs
    # The broken file is no span whose work was measured.
    assert (run.analysed.spans, run.analysed.clips, run.remade.spans) == (3, 3, 0)
    assert run.analysed.seconds == pytest.approx(1.6 + 1.4 + 1.2)
    stages = {"decode", "cuts", "detect", "crop", "landmarks", "scores", "encode", "write"}
    assert stages <= run.analysed.cores.keys() and not data.times.exists()
    assert report.core_seconds_per_minute == run.analysed.per_minute
    assert report.clips_per_second == run.clips_per_second > 0
    assert run.phases.keys() == {"spans", "settle", "shards", "table"}


def test_what_is_missing_in_the_table_is_null_but_a_kept_clip_has_an_empty_reason(made):
    rows = read_table(made[0].clips, CLIPS).to_pylist()
    for row in rows:
        assert row["reason"] in ([""] if row["kept"] else ["unreadable", "edge"])
        placed = ("identity", "identity_from", "split", "shard", "offset", "bytes")
        assert all((row[name] is not None) == row["kept"] for name in placed)
        assert (row["error"] is not None) == (row["reason"] == "unreadable")


def work_times(data: DataFolder) -> dict:
    """When each result of a span was written: again, if its video was decoded again."""
    return {path: path.stat().st_mtime_ns for path in data.work.glob("v-*/*/*")}


def test_a_second_run_does_nothing(made):
    data, _ = made
    times = {path: path.stat().st_mtime_ns for path in data.shards.glob("*/*")}
    before, analyzed = contents(data), work_times(data)
    report = shard(data, CONFIG, progress=Silent())
    assert report.clips_kept == 3
    assert contents(data) == before and work_times(data) == analyzed
    assert {path: path.stat().st_mtime_ns for path in data.shards.glob("*/*")} == times


def test_workers_and_order_do_not_change_a_byte(made, videos, tmp_path):
    data = ingest(tmp_path, dict(reversed(videos.items())))
    shard(data, CONFIG, workers=2, progress=Silent())
    assert contents(data) == contents(made[0])


def test_a_changed_filter_decodes_nothing(made):
    data = made[0]
    before, analyzed = contents(data), work_times(data)
    strict = replace(CONFIG, filters=replace(CONFIG.filters, min_seconds=1.1))
    report = shard(data, strict, progress=Silent())
    assert report.clips_rejected == {"too_short": 1, "unreadable": 1}
    assert len(list(data.shards.glob("*/*"))) == report.shards < len(before) - 2
    shard(data, CONFIG, progress=Silent())
    assert contents(data) == before and work_times(data) == analyzed


def test_a_removed_video_leaves_nothing_behind(videos, tmp_path):
    few = {path: name for path, name in videos.items() if path.name in "a.mp4 b.mp4"}
    data = ingest(tmp_path, few)
    shard(data, CONFIG, progress=Silent())
    ingest(tmp_path, dict(list(few.items())[:1]))
    report = shard(data, CONFIG, progress=Silent())
    assert (report.videos, report.clips_kept, report.shards) == (1, 1, 1)
    assert len([p for p in data.work.iterdir() if p.name.startswith("v-")]) == 1
    assert {clip.identity for clip in read_clips(data.clips)} == {"ann", None}


def test_an_added_video_touches_only_its_own_span_and_shards(videos, tmp_path):
    names = dict.fromkeys(videos, "")
    few = {path: "" for path in names if path.name in "b.mp4 c.mp4"}
    data = ingest(tmp_path, few)
    shard(data, CONFIG, progress=Silent())

    def written() -> dict:
        files = [*data.work.glob("v-*/*/*"), *data.shards.glob("*/*")]
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}

    before = written()
    ingest(tmp_path, names)
    shard(data, CONFIG, progress=Silent())
    after = written()
    assert len(after) > len(before)
    spans = [path for path in before if path.is_relative_to(data.work)]
    assert all(after[path] == before[path] for path in spans)
    same = [path for path in before if path in after and after[path][0] == before[path][0]]
    assert all(after[path] == before[path] for path in same)


def test_too_many_failures_fail_the_run_after_recording(videos, tmp_path):
    data = ingest(tmp_path, {path: n for path, n in videos.items() if path.name == "broken.mp4"})
    with pytest.raises(FshError, match=r"1 of 1 .* failed \(1 unreadable\)"):
        shard(data, CONFIG, progress=Silent())
    assert [clip.reason for clip in read_clips(data.clips)] == [RejectReason.UNREADABLE]
    lenient = replace(CONFIG, max_failed=1.0)
    assert shard(data, lenient, progress=Silent()).clips_kept == 0


def test_nothing_ingested_is_shown(tmp_path):
    with pytest.raises(FshError, match="fsh ingest"):
        shard(DataFolder(tmp_path), CONFIG, progress=Silent())


def test_what_was_damaged_since_is_made_anew(made, videos, tmp_path):
    """Shards, a clip's tar and a span's table: the same bytes afterwards, and it is said."""
    data = ingest(tmp_path, videos)
    shard(data, CONFIG, progress=Silent())
    before, told = contents(data), Told()
    first, second, third = sorted(data.shards.glob("*/*"))
    zero_frames(first)
    second.write_bytes(second.read_bytes()[:5000])
    third.unlink()
    tars = sorted(data.work.glob("v-*/*/*.tar"))
    zero_frames(tars[0])
    tars[1].write_bytes(tars[1].read_bytes()[:3000])
    (tars[2].parent / "clips.parquet").write_bytes(b"PAR1")
    report = shard(data, CONFIG, progress=told)
    assert report.clips_kept == 3 and contents(data) == before
    for path in (first, second, third):
        assert any(path.name in line and "made anew" in line for line in told.lines)
    assert any("damaged results, analysed anew" in line for line in told.lines)
    data.card.write_text("{")
    data.clips.write_bytes(b"")
    shard(data, CONFIG, progress=told)
    assert contents(data) == before


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["in_memory", "multi_threading", "multi_processing"])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_no_way_to_run_it_changes_a_byte(workers, mode, made, videos, tmp_path):
    order = list(videos.items())
    random.Random(f"{workers} {mode}").shuffle(order)
    data = ingest(tmp_path, dict(order))
    shard(data, CONFIG, workers=workers, mode=mode, progress=Silent())
    assert contents(data) == contents(made[0])


class RecordedBar:
    """What a Progress was told of one bar."""

    def __init__(self, total: float, done: float) -> None:
        self.total, self.moves, self.notes = total, [done], []


class RecordedProgress:
    """A Progress that remembers its calls, by bar."""

    def __init__(self) -> None:
        self.bars: dict[str, RecordedBar] = {}

    def start(self, what: str, total: float | None, unit: str, done: float = 0) -> None:
        self.bars[what] = self.bar = RecordedBar(total, done)

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.bar.moves.append(amount)
        self.bar.notes.append(note)

    def say(self, line: str) -> None: ...

    def stop(self) -> None: ...


def test_progress_reaches_its_total_and_tells_clips_a_second(videos, tmp_path):
    data = ingest(tmp_path, videos)
    shown = RecordedProgress()
    report = shard(data, CONFIG, progress=shown)
    assert list(shown.bars) == ["videos", "shards"]
    for bar in shown.bars.values():
        assert sum(bar.moves) == pytest.approx(bar.total)
        assert min(bar.moves) >= 0
    assert shown.bars["shards"].total == report.shards
    notes = shown.bars["videos"].notes
    assert notes[-1].endswith("clips/s") and float(notes[-1].split()[0]) > 0
    shown = RecordedProgress()
    shard(data, CONFIG, progress=shown)
    assert list(shown.bars) == ["videos"]
    assert shown.bars["videos"].moves == [pytest.approx(shown.bars["videos"].total)]
    assert not list(data.work.rglob("*.progress"))


def test_a_file_is_no_data_folder(tmp_path):
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(FshError, match="a file, not a data folder"):
        stored_sources(DataFolder(tmp_path / "data"))

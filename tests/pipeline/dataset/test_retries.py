"""Engines do a bundle twice, at the same time, half, or late: the same bytes come out."""

from __future__ import annotations

import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from erasable import contents
from videos import ingest, moving, write_video

from fsh.pipeline.dataset import graph
from fsh.pipeline.dataset.config import AnalysisConfig, ShardConfig
from fsh.pipeline.dataset.graph import shard
from fsh.pipeline.dataset.shards.plans import ShardPlan
from fsh.pipeline.dataset.shards.writing import write_shard
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.dataset.spans.store import (
    is_finished,
    pending_spans,
    record_failure,
    span_results,
)
from fsh.pipeline.dataset.workers import AnalyzeSpans
from fsh.pipeline.engine.runner import Engine
from fsh.pipeline.engine.stop_signal import stop_signal
from fsh.pipeline.engine.ticket import RunStopped, Ticket
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.temporary import temporary_folder
from fsh.schemas.progress import Silent
from fsh.schemas.tables.parquet import read_clips, write_clips
from fsh.schemas.tables.records import Clip, RejectReason

ANALYSIS, CONFIG = AnalysisConfig(), ShardConfig()
SPAN = Span("v-a", 0.0, 5.0, "videos/a.mp4", "0")
CLIP = Clip(clip_id="v-a_00000000_00", video_id="v-a", samples=1)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    (folder / "broken.mp4").write_bytes(b"nothing" * 50)
    return {
        write_video(folder / "a.mp4", moving(1.2)): "ann",
        write_video(folder / "b.mp4", moving(1.1, mirrored=True)): "bob",
        folder / "broken.mp4": "cyd",
    }


@pytest.fixture(scope="module")
def once(videos, tmp_path_factory) -> dict[str, str]:
    """What a plain run gives."""
    data = ingest(tmp_path_factory.mktemp("once"), videos)
    shard(data, CONFIG, progress=Silent())
    return contents(data)


def left_over(data: DataFolder) -> list[str]:
    """Everything below the folder that has no name of its own yet."""
    return [str(path) for path in data.root.rglob(".*.tmp")]


@pytest.mark.parametrize(
    ("workers", "mode"), [(1, "in_memory"), (2, "multi_threading"), (2, "multi_processing")]
)
def test_every_bundle_doubled(workers, mode, videos, once, tmp_path, monkeypatch):
    """One after the other, or both copies at the same moment, spans as well as shards."""
    elements = Engine.elements
    monkeypatch.setattr(Engine, "elements", lambda self, work: elements(self, [*work, *work]))
    data = ingest(tmp_path, videos)
    shard(data, CONFIG, workers=workers, mode=mode, progress=Silent())
    assert contents(data) == once and not left_over(data)


def store(data: DataFolder, content: bytes, barrier: threading.Barrier) -> None:
    with span_results(data, SPAN, ANALYSIS) as folder:
        folder.clip(CLIP.clip_id).write_bytes(content)
        write_clips([CLIP], folder.clips)
        barrier.wait()


def test_two_workers_publish_a_span_at_the_same_moment(tmp_path):
    data, barrier = DataFolder(tmp_path), threading.Barrier(8)
    with ThreadPoolExecutor(8) as threads:
        jobs = [threads.submit(store, data, b"the same", barrier) for _ in range(8)]
        for job in jobs:
            job.result()
    folder = SPAN.folder(data, ANALYSIS)
    names = sorted(path.name for path in folder.root.iterdir())
    assert names == ["clips.parquet", f"{CLIP.clip_id}.tar"]
    assert [path.name for path in folder.root.parent.iterdir()] == [folder.root.name]


def test_nobody_sees_half_a_span(tmp_path):
    """While it is written nothing of it is there under its name, and an error leaves nothing."""
    data = DataFolder(tmp_path)
    with pytest.raises(OSError), span_results(data, SPAN, ANALYSIS) as folder:
        folder.clip(CLIP.clip_id).write_bytes(b"half")
        assert not SPAN.folder(data, ANALYSIS).root.exists()
        raise OSError
    assert pending_spans(data, [SPAN], ANALYSIS, retry_failed=False) == [SPAN]
    assert list((data.work / SPAN.video_id).iterdir()) == []


def test_a_copy_that_finishes_late_changes_nothing(tmp_path):
    data = DataFolder(tmp_path)
    store(data, b"first", threading.Barrier(1))
    before = {p: (p.read_bytes(), p.stat().st_ino) for p in data.work.glob("*/*/*")}
    store(data, b"late", threading.Barrier(1))
    record_failure(data, SPAN, ANALYSIS, RejectReason.TIMEOUT, "no result")
    assert {p: (p.read_bytes(), p.stat().st_ino) for p in data.work.glob("*/*/*")} == before


def test_results_take_the_place_of_a_failure(tmp_path):
    data = DataFolder(tmp_path)
    record_failure(data, SPAN, ANALYSIS, RejectReason.TIMEOUT, "no result")
    assert is_finished(data, SPAN, ANALYSIS)
    store(data, b"slow", threading.Barrier(1))
    folder = SPAN.folder(data, ANALYSIS)
    assert read_clips(folder.clips)[0].samples == 1
    assert folder.clip(CLIP.clip_id).read_bytes() == b"slow"


def test_what_a_killed_discard_left_is_no_obstacle(tmp_path):
    """The command that holds the lock removes the table first; a kill may come then."""
    data = DataFolder(tmp_path)
    store(data, b"damaged", threading.Barrier(1))
    folder = SPAN.folder(data, ANALYSIS)
    folder.clips.unlink()
    store(data, b"whole", threading.Barrier(1))
    assert folder.clip(CLIP.clip_id).read_bytes() == b"whole" and folder.clips.is_file()


def test_what_a_killed_worker_left_goes_in_the_end(videos, once, tmp_path):
    """Its folder, as another process's, and its note of how far it had come."""
    data = ingest(tmp_path, videos)
    span = graph.plan_spans(graph.stored_sources(data), ANALYSIS.span)[0].folder(data, ANALYSIS)
    gone = subprocess.Popen(["true"])
    gone.wait()
    with temporary_folder(span.root) as folder:
        name = folder.name.replace(f"-fsh-{os.getpid()}-", f"-fsh-{gone.pid}-")
    left = folder.with_name(name)
    left.mkdir()
    (left / "clip.tar").write_bytes(b"half")
    span.progress.write_text("0.5")
    shard(data, CONFIG, progress=Silent())
    assert not left.exists() and not span.progress.exists()
    assert contents(data) == once


def test_a_finished_span_is_not_done_again(videos, once, tmp_path, monkeypatch):
    """Even if a run is handed spans that are done, as engines do after they lost a worker."""
    data = ingest(tmp_path, videos)
    shard(data, CONFIG, progress=Silent())
    done = {path: path.stat().st_mtime_ns for path in data.work.glob("v-*/*/*")}
    every = graph.plan_spans(graph.stored_sources(data), ANALYSIS.span)
    monkeypatch.setattr(graph, "pending_spans", lambda *_, **__: [])
    again = lambda *_: pytest.fail("done again")  # noqa: E731
    monkeypatch.setattr(AnalyzeSpans, "_check_link", again)  # the first that is done
    with graph._at_work(data, Engine(), Silent()) as at_work:
        graph._analyze(at_work, data, CONFIG, every)
    assert {path: path.stat().st_mtime_ns for path in data.work.glob("v-*/*/*")} == done


def test_a_worker_of_a_stopped_run_publishes_no_shard(tmp_path):
    """An engine may go on after the command was killed, with a plan that is an old one then."""
    data = DataFolder(tmp_path)
    data.records.mkdir()
    plan = ShardPlan("train", 0, ())
    with stop_signal(data, "shard") as stop:
        ticket = Ticket.of(data, stop, elsewhere=True)
        assert write_shard(data, plan, ticket.go_on).path
    before = data.shard("train", 0).stat().st_ino
    data.shard_note("train", 0).unlink()
    with pytest.raises(RunStopped):
        write_shard(data, plan, ticket.go_on)
    assert data.shard("train", 0).stat().st_ino == before
    names = [path.name for path in (data.shards / "train").iterdir()]
    assert names == ["fsh-train-000000.tar"]

"""``fsh shard`` in an object store makes the bytes that it makes in a folder; a real S3 server.

Workers are killed, the store throttles and goes away, two write one span at the same moment.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from command import fsh as fsh_command
from erasable import contents
from object_store import Place, proxied, s3_server, using
from tiny_run import Told
from videos import ingest, moving, write_video

from fsh.data_places import data_folder
from fsh.pipeline.dataset.config import ShardConfig
from fsh.pipeline.dataset.graph import shard, shard_part
from fsh.pipeline.dataset.sources import stored_sources
from fsh.pipeline.dataset.spans.division import plan_spans
from fsh.pipeline.dataset.spans.store import (
    is_finished,
    read_finished,
    record_failure,
    span_results,
)
from fsh.pipeline.dataset.throughput import read_notes
from fsh.pipeline.engine.parts import Part
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import StoreRefused
from fsh.schemas.progress import Silent
from fsh.schemas.tables.parquet import read_clips, write_clips
from fsh.schemas.tables.records import Clip, RejectReason
from fsh.schemas.throughput import Throughput

CONFIG = ShardConfig()


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> dict[Path, str]:
    folder = tmp_path_factory.mktemp("videos")
    (folder / "broken.mp4").write_bytes(b"nothing" * 50)
    return {
        write_video(folder / "a.mp4", moving(1.1)): "ann",
        write_video(folder / "b.mp4", moving(1.1, mirrored=True)): "bob",
        folder / "broken.mp4": "cyd",
    }


@pytest.fixture(scope="module")
def ingested(videos, tmp_path_factory) -> DataFolder:
    return ingest(tmp_path_factory.mktemp("ingested"), videos)


@pytest.fixture(scope="module")
def local(videos, tmp_path_factory) -> dict[str, str]:
    """SHA-256 of every file of the data set that is made in a folder."""
    data = ingest(tmp_path_factory.mktemp("local"), videos)
    shard(data, CONFIG, workers=2, progress=Silent())
    return contents(data)


class Bucket(Place):
    def tables(self) -> dict[Path, int]:
        """The tables of finished spans, and when each was written."""
        return {path: path.stat().st_mtime_ns for path in self.files.work.glob("v-*/*/*.parquet")}


@pytest.fixture
def bucket(s3_store, ingested, tmp_path) -> Iterator[Bucket]:
    with using(s3_store[1], tmp_path / "cache"):
        yield Bucket(s3_store[0], tmp_path.name, ingested)


def test_a_store_gets_the_bytes_that_a_folder_gets(bucket, local, tmp_path):
    told = Told()
    report = shard(bucket.data, CONFIG, workers=2, progress=told)
    assert contents(bucket.files) == local and report.clips_rejected == {"unreadable": 1}
    before = bucket.tables()
    assert len(before) == 3
    shard(bucket.data, CONFIG, workers=2, progress=told)
    assert bucket.tables() == before and contents(bucket.files) == local
    # Nothing of it is left on this machine but copies of whole objects.
    assert list((tmp_path / "cache").rglob("*.tmp")) == []
    assert not any((tmp_path / "cache" / "spans").iterdir())
    left = {path.name.rpartition(".")[0] for path in bucket.files.records.glob(".*")}
    assert left == {".lock-shard.whole"}


@pytest.mark.slow
def test_a_video_that_is_gone_is_one_rejected_video(bucket):
    gone = next(iter(stored_sources(bucket.data)))
    (bucket.files.root / gone.path).unlink()
    config = replace(CONFIG, max_failed=1.0)
    shard(bucket.data, config, workers=2, progress=Silent())
    (row,) = (clip for clip in read_clips(bucket.data.clips) if clip.video_id == gone.video_id)
    assert row.reason is RejectReason.UNREADABLE and "is not there" in row.error


@pytest.mark.slow
def test_throttling_and_lost_connections_do_not_change_a_byte(s3_store, ingested, local, tmp_path):
    with proxied(s3_store[1]) as proxy, using(proxy.port, tmp_path / "cache"):
        bucket = Bucket(s3_store[0], tmp_path.name, ingested)
        fates = itertools.cycle([*["pass"] * 9, "slow down", *["pass"] * 9, "drop", "cut"])
        proxy.decide = lambda line: next(fates)
        shard(bucket.data, CONFIG, workers=2, progress=Silent())
        assert contents(bucket.files) == local and len(proxy.requests) > 100


@pytest.mark.slow
def test_a_killed_run_loses_nothing_that_was_finished(bucket, local):
    command = [sys.executable, "-m", "fsh.cli", "shard", "--data", bucket.address, "--workers", "1"]
    command += ["--landmarks", CONFIG.analysis.spec.backend]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    until = time.monotonic() + 600
    while not bucket.tables() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    before = bucket.tables()
    assert before, "it was killed before it had stored anything"
    shard(bucket.data, CONFIG, workers=2, progress=Silent())
    assert contents(bucket.files) == local
    assert before.items() <= bucket.tables().items()
    # What is damaged later, or gone, is made anew.
    tar = next(path for path in bucket.files.work.rglob("v-*.tar"))
    there = bucket.data.root / str(tar.relative_to(bucket.files.root))
    there.write_bytes(there.read_bytes()[:-1024])
    note = next(bucket.files.shard_notes.glob("*train*"))
    note.unlink()
    for path in bucket.files.all_shards():
        path.unlink()
    shard(bucket.data, CONFIG, workers=2, progress=Silent())
    assert contents(bucket.files) == local


@pytest.mark.slow
def test_a_store_that_goes_away_is_told_in_one_line_and_nothing_is_lost(
    ingested, local, tmp_path, monkeypatch
):
    monkeypatch.setattr("fsh.schemas.places.stores.PATIENCE", 1.0)
    with s3_server(tmp_path / "served") as port, using(port, tmp_path / "cache"):
        bucket = Bucket(tmp_path / "served", "set", ingested)
        data = bucket.data
    with using(port, tmp_path / "cache"):
        with pytest.raises(FshError, match="the store does not answer") as told:
            shard(data, CONFIG, workers=1, progress=Silent())
        assert "\n" not in str(told.value)
        with s3_server(tmp_path / "served", port):
            shard(bucket.data, CONFIG, workers=2, progress=Silent())
    assert contents(bucket.files) == local


@pytest.mark.slow
def test_parts_and_then_the_rest(bucket, local):
    for part in ("1/2", "2/2"):
        shard_part(bucket.data, CONFIG, Part.parse(part), progress=Silent())
    before = bucket.tables()
    assert len(before) == 3
    same = ("--landmarks", CONFIG.analysis.spec.backend)
    done = fsh_command("shard", "--data", bucket.address, *same, "--json")
    assert done.returncode == 0, done.stderr
    assert contents(bucket.files) == local and bucket.tables() == before
    assert json.loads(done.stdout)["clips_kept"] == 2 and "copies=" in done.stderr
    # What the parts noted is added up, and the notes are gone.
    known = Throughput.read(bucket.data.throughput)
    assert known.analysed.spans == 2 and known.runs[0].clips == 0
    assert known.analysed.cores["decode"] > 0 and read_notes(bucket.data) == {}


ANALYSIS = CONFIG.analysis


def published(data: DataFolder, span, content: bytes, barrier: threading.Barrier) -> None:
    clip = Clip(clip_id=f"{span.video_id}_00000000_00", video_id=span.video_id, samples=1)
    with span_results(data, span, ANALYSIS) as folder:
        folder.clip(clip.clip_id).write_bytes(content)
        write_clips([clip], folder.clips)
        barrier.wait()


def test_two_writers_on_one_span(bucket):
    span = plan_spans(stored_sources(bucket.data), ANALYSIS.span)[0]
    barrier = threading.Barrier(4)
    args = (bucket.data, span, b"samples", barrier)
    threads = [threading.Thread(target=published, args=args) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (finished,) = read_finished(bucket.data, [span], ANALYSIS)
    assert (finished.bytes, finished.clip.samples) == (7, 1)
    # A failure that comes late changes nothing; results take a failure's place.
    record_failure(bucket.data, span, ANALYSIS, RejectReason.TIMEOUT, "late")
    assert read_finished(bucket.data, [span], ANALYSIS) == [finished]
    other = plan_spans(stored_sources(bucket.data), ANALYSIS.span)[1]
    record_failure(bucket.data, other, ANALYSIS, RejectReason.TIMEOUT, "early")
    published(bucket.data, other, b"samples", threading.Barrier(1))
    assert read_finished(bucket.data, [other], ANALYSIS)[0].clip.samples == 1


def test_a_table_without_its_tars_counts_for_nothing(bucket):
    span = plan_spans(stored_sources(bucket.data), ANALYSIS.span)[0]
    published(bucket.data, span, b"samples", threading.Barrier(1))
    assert is_finished(bucket.data, span, ANALYSIS)
    next(bucket.files.work.rglob("*.tar")).unlink()
    assert read_finished(bucket.data, [span], ANALYSIS) is None
    assert not is_finished(bucket.data, span, ANALYSIS)


def test_a_store_that_does_not_answer_never_counts_as_damage(bucket, monkeypatch):
    span = plan_spans(stored_sources(bucket.data), ANALYSIS.span)[0]
    published(bucket.data, span, b"samples", threading.Barrier(1))
    data = bucket.data
    monkeypatch.setattr("fsh.schemas.places.stores.PATIENCE", 0.1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    data.root.fs.clear_instance_cache()
    unreachable = data_folder_unasked(bucket.address)
    with pytest.raises(StoreRefused):
        read_finished(unreachable, [span], ANALYSIS)
    assert is_finished(data, span, ANALYSIS)


def data_folder_unasked(address: str) -> DataFolder:
    """A data folder in a store that nobody has asked whether it answers."""
    with pytest.MonkeyPatch.context() as patch:
        for asked in ("_require_answer", "remove_erased_copies"):
            patch.setattr(f"fsh.data_places.{asked}", lambda *_: None)
        return data_folder(address)

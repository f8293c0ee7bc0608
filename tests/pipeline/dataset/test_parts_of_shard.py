"""``fsh shard --part``: shares in any order, restarted at will; a plain run makes the same data."""

from __future__ import annotations

import pytest
from erasable import contents
from videos import ingest, moving, write_video

from fsh.pipeline.dataset.config import ShardConfig
from fsh.pipeline.dataset.graph import shard, shard_part
from fsh.pipeline.engine.parts import Part
from fsh.pipeline.locks import locked
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Silent
from fsh.schemas.throughput import Throughput

CONFIG = ShardConfig()


def test_parts_and_a_plain_run_make_the_same_data_set(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"nothing" * 50)
    videos = {tmp_path / "broken.mp4": "nobody"}
    for number in range(3):
        frames = moving(1.1 + number / 10, mirrored=number == 1)
        videos[write_video(tmp_path / f"{number}.mp4", frames)] = f"person {number}"
    whole = ingest(tmp_path / "whole", videos)
    shard(whole, CONFIG, progress=Silent())
    data = ingest(tmp_path / "parts", videos)
    reports = [shard_part(data, CONFIG, Part(n, 3), progress=Silent()) for n in (3, 1, 3)]
    assert [(r.part, r.spans, r.pending) for r in reports] == [
        ("3/3", 1, 1),
        ("1/3", 2, 2),
        ("3/3", 1, 0),
    ]
    assert sum(r.failed for r in reports) == 1 and not data.clips.exists()
    done = {path: path.stat().st_mtime_ns for path in data.work.glob("v-*/*/*")}
    assert len(list(data.times.iterdir())) == 2  # what parts took; the broken one is not told
    report = shard(data, CONFIG, progress=Silent())  # part 2/3 never ran
    known = Throughput.read(data.throughput)
    assert (known.analysed.spans, known.runs[0].clips, known.runs[0].analysed.clips) == (3, 1, 3)
    assert report.clips_kept == 3 and contents(data) == contents(whole)
    assert done.items() <= {p: p.stat().st_mtime_ns for p in data.work.glob("v-*/*/*")}.items()


def test_parts_work_beside_each_other_but_not_beside_a_whole_run(tmp_path):
    data = ingest(tmp_path / "data", {write_video(tmp_path / "a.mp4", moving(0.2)): "ann"})
    with locked(data, "shard", part="1/2"), locked(data, "shard", part="2/2"):
        with pytest.raises(FshError, match=r"shard --part [12]/2 is at work here since"):
            shard(data, CONFIG, progress=Silent())
        with pytest.raises(FshError, match="is at work here"), locked(data, "shard", by="forget"):
            pass
        shard_part(data, CONFIG, Part(2, 2), progress=Silent())
    assert not data.lock("shard").exists()
    with (
        locked(data, "shard"),
        pytest.raises(FshError, match="shard is at work here since"),
    ):
        shard_part(data, CONFIG, Part(1, 2), progress=Silent())


def test_who_comes_first_frees_the_folder_only_when_the_last_is_done(tmp_path):
    data = ingest(tmp_path / "data", {write_video(tmp_path / "a.mp4", moving(0.2)): "ann"})
    first, second = locked(data, "shard", part="1/2"), locked(data, "shard", part="2/2")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    with pytest.raises(FshError, match="is at work here"), locked(data, "shard"):
        pass
    second.__exit__(None, None, None)
    with locked(data, "shard"):
        pass

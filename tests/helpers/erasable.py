"""A sharded data folder made without any video: clips of noise, for tests of what lies on disk."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from tiny_data import jpeg

from fsh.pipeline.dataset.config import AnalysisConfig, ShardConfig
from fsh.pipeline.dataset.finish import write_dataset
from fsh.pipeline.dataset.settling.selection import select_and_plan
from fsh.pipeline.dataset.shards.writing import write_shard
from fsh.pipeline.dataset.sources import stored_sources
from fsh.pipeline.dataset.spans.division import Span, plan_spans
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.ids import clip_id, content_id, file_sha256, sample_key
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.sample import sample_members
from fsh.schemas.shards.sample_info import SampleInfo
from fsh.schemas.shards.tar import write_members
from fsh.schemas.tables.parquet import write_clips, write_sources
from fsh.schemas.tables.records import Clip, Source, SourceState

SPEC = replace(FaceSpec(), backend="dlib", size=32)
CONFIG = ShardConfig(
    analysis=replace(AnalysisConfig(), spec=SPEC),
    shard_bytes=30_000,
)


def make(root: Path, labels: list[str]) -> DataFolder:
    """A data folder of one video per label; an empty label is nobody the list names.

    Unlabeled videos are of one person, told by the embedding. The last video's clip is rejected.
    """
    data = DataFolder(root)
    (root / "videos").mkdir(parents=True)
    sources = []
    for number, label in enumerate(labels):
        original = root.parent / "originals" / f"film {number}.mp4"
        original.parent.mkdir(exist_ok=True)
        original.write_bytes(hashlib.sha256(str(number).encode()).digest() * 50)
        sha256 = file_sha256(original)
        stored_at = data.videos / f"{content_id(sha256)}.mp4"
        stored_at.symlink_to(original)
        url = str(original) if number % 2 else f"https://host{number}.example/talk.mp4"
        sources.append(
            Source(
                request_id=f"{number:016x}",
                url=url,
                line=number + 1,
                video_id=content_id(sha256),
                identity=label,
                state=SourceState.STORED,
                path=str(stored_at.relative_to(root)),
                sha256=sha256,
                duration=1.0,
            )
        )
    write_sources(sources, data.sources)
    data.rate_limits.write_text('{"host0.example": {}, "other.org": {}}')
    spans = plan_spans(stored_sources(data), CONFIG.analysis.span)
    names = {source.video_id: source.identity for source in sources}
    for number, span in enumerate(spans):
        who = 0 if not names[span.video_id] else 1 + number
        _analyze(data, span, number, who, kept=span.video_id != sources[-1].video_id)
    reshard(data)
    page = "".join(source.video_id for source in sources)
    (root / "inspect.html").write_text(f"<title>fsh: a page</title><p>{page}</p>")
    return data


def reshard(data: DataFolder) -> None:
    """What ``fsh shard`` does once all spans are analyzed."""
    write_dataset(data, CONFIG, [write_shard(data, p) for p in select_and_plan(data, CONFIG)])


def _analyze(data: DataFolder, span: Span, number: int, who: int, *, kept: bool) -> None:
    random = np.random.default_rng(number)
    name = clip_id(span.video_id, 0.0, 0)
    folder = span.folder(data, CONFIG.analysis)
    folder.root.mkdir(parents=True)
    count = 6
    info = SampleInfo(
        clip_id=name,
        video_id=span.video_id,
        identity="",
        fps=4.0,
        times=[i / 4 for i in range(count)],
        boxes=[[4.0, 4.0, 28.0, 28.0]] * count,
        crop=[0.0, 0.0, 32.0],
        spec=SPEC,
    )
    points = random.uniform(4, 28, (count, 68, 2)).astype(np.float32)
    jpegs = [jpeg(random.integers(0, 255, (32, 32, 3), np.uint8)) for _ in range(count)]
    with folder.clip(name).open("wb") as file:
        write_members(file, sample_members(sample_key(name, 0), info, points, jpegs), end=False)
    clip = Clip(
        clip_id=name,
        video_id=span.video_id,
        shot=0,
        track=0,
        start=0.0,
        end=1.25,
        fps=4.0,
        frames=count,
        frames_failed=0,
        samples=1,
        width=640,
        height=640,
        crop_left=100.0,
        crop_top=100.0,
        crop_side=300.0,
        face_px=200.0 if kept else 20.0,
        drift=0.0,
        detected=1.0,
        score=2.0,
        sharpness=500.0,
        brightness=0.5,
        contrast=0.2,
        yaw=0.0,
        pitch=0.0,
        roll=0.0,
        pose_range=5.0,
        mouth_motion=0.1,
        frame_difference=0.1,
        identity_consistency=1.0,
        embedding=np.eye(128, dtype=np.float32)[who],
        spec=SPEC.hash,
    )
    write_clips([clip], folder.clips)


def span_tables(data: DataFolder) -> dict[Path, tuple[int, int]]:
    """The tables of finished spans: one that is written again has another inode or time.

    Folders of spans that a worker is still at, or was killed at, begin with a dot.
    """
    tables = data.work.glob("v-*/[!.]*/clips.parquet")
    stats = [(table, table.stat()) for table in tables]
    return {table: (found.st_ino, found.st_mtime_ns) for table, found in stats}


def contents(data: DataFolder) -> dict[str, str]:
    """SHA-256 of every file of a data set, by its path below the data folder."""
    files = [*data.shards.glob("*/*"), data.card, data.clips]
    return {
        str(path.relative_to(data.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }

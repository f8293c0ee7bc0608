"""``fsh shard`` of very many videos, with what decoding would have found replayed.

    python tests/benchmarks/simulated_videos.py DATA [--videos 1000 5000 20000] [--folder PLACE]

DATA is a data set that ``fsh shard`` made. A simulated video is five of its videos one after the
other, with their durations and the rows that they gave: of the bench set's, 150,000 are about the
size of VoxCeleb2. Whom a face shows, how it moves and the frames (one of 8×8 pixels a clip) are
made up: people as ``million.py`` makes them, so that nothing is there twice.

The rest is what a user's run does: sources, spans, Beam's graph, sandboxes, a table and tars a
span, settling, shards, the data set's tables. Prints, for each number of videos, the seconds of
each phase, those of a second run that finds all done, the peak of the driver's memory (MB, Linux),
CPU seconds of driver and sandboxes, and the power of the number by which the whole grows (that of
n log n is 1.1). A video needs about 200 KB of disk.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import cv2
import numpy as np
from million import VIDEOS_PER_PERSON, made_source, spread

from fsh.pipeline.dataset import workers
from fsh.pipeline.dataset.config import ShardConfig
from fsh.pipeline.dataset.graph import shard
from fsh.pipeline.dataset.spans.stages import measured
from fsh.pipeline.dataset.spans.store import span_results
from fsh.pipeline.faces.motion_print import RATE, VALUES
from fsh.schemas.ids import clip_id, sample_key
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.progress import Silent
from fsh.schemas.shards.sample import sample_members
from fsh.schemas.shards.sample_info import SampleInfo
from fsh.schemas.shards.tar import write_members
from fsh.schemas.tables.parquet import read_clips, write_clips, write_sources
from fsh.schemas.tables.records import Clip, RejectReason, Source
from fsh.schemas.throughput import SpanWork, Throughput

#: Recorded videos that a simulated one is made of.
JOINED = 5
#: Where sandboxes find the recorded rows.
RECORDED = "FSH_BENCHMARK_RECORDED"
CONFIG = ShardConfig()
#: What the analysis itself rejects; the other reasons are the filters'.
FOUND = frozenset(list(RejectReason)[: list(RejectReason).index(RejectReason.NO_LANDMARKS) + 1])


@cache
def recorded() -> list[list[Clip]]:
    """The rows of each recorded video, as its analysis left them."""
    videos: dict[str, list[Clip]] = {}
    for clip in read_clips(Path(os.environ[RECORDED])):
        reason = clip.reason if clip.reason in FOUND else None
        clip = replace(clip, identity=None, identity_from=None, duplicate_of=None, kept=False)
        clip = replace(clip, reason=reason, split=None, shard=None, offset=None, bytes=None)
        if clip.cover_start is None:  # as in tables of older versions
            clip = replace(clip, cover_start=clip.start, cover_end=clip.end)
        videos.setdefault(clip.video_id, []).append(clip)
    return [videos[name] for name in sorted(videos)]


def seconds_of_video(clips: Sequence[Clip]) -> float:
    return max(clip.cover_end or 0.0 for clip in clips)


def parts_of(number: int) -> list[tuple[float, list[Clip]]]:
    """The recorded videos of a simulated one, and where each begins, seconds."""
    found, at = [], 0.0
    for place in range(number * JOINED, (number + 1) * JOINED):
        clips = recorded()[place * 7919 % len(recorded())]
        found.append((at, clips))
        at += seconds_of_video(clips)
    return found


def made_sources(videos: int) -> list[Source]:
    sources = []
    for number in range(videos):
        last, clips = parts_of(number)[-1]
        sources.append(made_source(number, last + seconds_of_video(clips)))
    return sources


def rows_of(number: int, start: float, end: float) -> list[Clip]:
    """The rows of a simulated video whose stretches begin in [start, end)."""
    name, person = f"v-{number:016x}", number * 7919 // VIDEOS_PER_PERSON
    rng = np.random.default_rng([1, number])
    face = 0.1 + spread(np.random.default_rng([2, person]), 1, 0.56, 19)
    face = face + spread(rng, 1, 0.16, 29)
    rows = []
    for at, clips in parts_of(number):
        for clip in clips:
            moments = round(RATE * ((clip.end or 0.0) - (clip.start or 0.0))) + 1
            motion = rng.integers(-40, 40, VALUES * moments).astype(np.int8)
            own, begins = face + spread(rng, 1, 0.08, 29), at + (clip.cover_start or 0.0)
            if not start <= begins < end:
                continue
            moved = {
                key: at + value
                for key in ("start", "end", "cover_start", "cover_end")
                if (value := getattr(clip, key)) is not None
            }
            clip = replace(clip, video_id=name, spec=CONFIG.analysis.spec.hash, **moved)
            if clip.clip_id and clip.start is not None:
                clip = replace(clip, clip_id=clip_id(name, clip.start, len(rows)), track=len(rows))
            if clip.samples:
                clip = replace(clip, embedding=own[0], motion_print=motion.tobytes().hex())
                clip = replace(clip, samples=1)
            rows.append(clip)
    return rows


def replay(data: DataFolder, span, analysis) -> SpanWork:
    """As :func:`fsh.pipeline.dataset.spans.worker.analyze_in_worker`, of what is recorded."""
    _, jpeg = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))
    with measured() as clock:
        last = math.inf if span.open_end else span.end
        rows = rows_of(int(span.video_id[2:], 16), span.start, last)
        cropped = [clip for clip in rows if clip.clip_id and clip.samples]
        with span_results(data, span, analysis) as folder:
            for clip in cropped:
                info = SampleInfo(
                    clip_id=clip.clip_id,
                    video_id=clip.video_id,
                    identity="",
                    fps=clip.fps,
                    times=[clip.start],
                    boxes=[[0.0, 0.0, 8.0, 8.0]],
                    crop=[0.0, 0.0, 8.0],
                    spec=analysis.spec,
                    real=[0.0, 0.0, 8.0, 8.0],
                )
                points = np.zeros((1, 68, 2), np.float32)
                members = sample_members(
                    sample_key(clip.clip_id, 0), info, points, [jpeg.tobytes()]
                )
                with folder.clip(clip.clip_id).open("wb") as file:
                    write_members(file, members, end=False)
            write_clips(rows, folder.clips)
        return clock.work(span.seconds, len(cropped))


def processor_seconds() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def measured_run(videos: int, root: Path, at_once: int) -> dict:
    """Make a data set of so many videos; what it took."""
    import simulated_videos  # by a name that sandboxes know too

    workers.analyze_in_worker = simulated_videos.replay
    data = DataFolder(root)
    write_sources(made_sources(videos), data.sources)
    began = time.monotonic()
    report = shard(data, CONFIG, workers=at_once, progress=Silent())
    seconds = time.monotonic() - began
    phases = Throughput.read(data.throughput).runs[-1].phases
    began = time.monotonic()
    shard(data, CONFIG, workers=at_once, progress=Silent())
    again = time.monotonic() - began
    return {
        "videos": videos,
        "clips": report.clips_kept,
        "rejected": sum(report.clips_rejected.values()),
        "shards": report.shards,
        "seconds": {name: round(took, 1) for name, took in phases.items()},
        "whole": round(seconds, 1),
        "again": round(again, 1),
        "CPU": round(processor_seconds(), 1),
        "MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--videos", type=int, nargs="+", default=[1000, 5000, 20_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the data sets are made and removed")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ[RECORDED] = str(DataFolder(options.data.absolute()).clips)
    if options.one:
        print(json.dumps(measured_run(options.one, options.folder, options.workers)))
        return
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    results: list[dict] = []
    for videos in options.videos:  # in processes of their own: memory is given back
        with tempfile.TemporaryDirectory(prefix="fsh-simulated-", dir=options.folder) as folder:
            command = [sys.executable, __file__, str(options.data), "--one", str(videos)]
            command += ["--workers", str(options.workers), "--folder", folder]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
            result = json.loads(done.stdout)
            if results:
                grown = math.log(result["whole"] / results[-1]["whole"])
                slope = grown / math.log(videos / results[-1]["videos"])
                result["slope"] = round(slope, 2)
            results.append(result)
            print(json.dumps(result), flush=True)  # before so many files are removed


if __name__ == "__main__":
    main()

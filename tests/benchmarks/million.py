"""Whether what is done with the whole table of clips grows no faster than the table.

    python tests/benchmarks/million.py [--rows 10000 100000 1000000] [--spans 10000 100000]
        [--settled]

Makes clips of people in videos, seven a video and about 25 videos a person, whose embeddings lie as
faces do: Gaussians of people, videos and clips with the spreads of dlib's (0.56, 0.16, 0.08), over
as many directions (19 of people, 29 within one). Every clip has scores and ten seconds of motion.
Prints for each step and number of rows the CPU seconds and the peak of memory (MB, Linux), and the
slope: the power of the number of rows by which the seconds grow from one number to the next; that
of n log n is 1.1. Of each number in ``--spans`` the finished spans are stored on disk as ``fsh
shard`` does, and looked for and read there.

- plan: spans of the sources; pending: which of them are not done; read: the rows of all, once from
  a table each, and again from what was packed then
- settle: filters, duplicates, people, splits, and the table written
- write plan: which clip lies in which shard; finish: places into the table, counts, seconds
- train plan: whom a training run would see; select: the filters again with another threshold
- inspect: the page's columns, histograms and look-alikes; forget: what erasing one video takes
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from fsh.pipeline.dataset.accounting import seconds_of
from fsh.pipeline.dataset.config import FilterConfig, ShardConfig
from fsh.pipeline.dataset.finish import COUNTED, dataset_counts, placed
from fsh.pipeline.dataset.pages.browsing import ClipBrowser
from fsh.pipeline.dataset.settling.selection import assigned, judged
from fsh.pipeline.dataset.shards.plans import ShardClip, plan_shards
from fsh.pipeline.dataset.spans.division import Span, plan_spans
from fsh.pipeline.dataset.spans.store import pending_spans, read_finished
from fsh.pipeline.erasure.plan import plan_erasure
from fsh.pipeline.tombstones import PinnedAssignments
from fsh.schemas.places.layout import SPLITS, DataFolder
from fsh.schemas.tables.columns import CLIPS
from fsh.schemas.tables.parquet import (
    read_clips,
    read_table,
    tables_in,
    write_clips,
    write_sources,
    write_tables,
)
from fsh.schemas.tables.records import Clip, Source, SourceState
from fsh.schemas.trained_on import trained_faces

PER_VIDEO, VIDEOS_PER_PERSON = 7, 25
CONFIG = ShardConfig()


@cache
def basis_of(directions: int) -> np.ndarray:
    """A rotation of all directions, float64 (128, 128)."""
    return np.linalg.qr(np.random.default_rng(directions).normal(size=(128, 128)))[0]


def spread(rng: np.random.Generator, count: int, size: float, directions: int) -> np.ndarray:
    """float32 (count, 128): Gaussians of a standard deviation, in so many directions at most."""
    basis = basis_of(directions)
    falling = np.exp(-np.arange(128) / directions)
    scale = size * falling / np.linalg.norm(falling)
    return (rng.normal(size=(count, 128)) * scale @ basis).astype(np.float32)


def faces(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings (n, 128), and of each the person's and the video's number."""
    rng = np.random.default_rng(0)
    videos = math.ceil(rows / PER_VIDEO)
    person = rng.integers(0, max(1, videos // VIDEOS_PER_PERSON), videos)
    video = np.arange(rows) // PER_VIDEO
    centers = 0.1 + spread(rng, int(person.max()) + 1, 0.56, 19)
    of_video = centers[person] + spread(rng, videos, 0.16, 29)
    return of_video[video] + spread(rng, rows, 0.08, 29), person[video], video


def made_clips(rows: int) -> tuple[list[Clip], np.ndarray]:
    """Clips, and each one's person."""
    embeddings, person, video = faces(rows)
    rng = np.random.default_rng(1)
    clips = []
    for n in range(rows):
        name, start = f"v-{int(video[n]):016x}", 10.0 * (n % PER_VIDEO)
        motion = rng.integers(-40, 40, 125 * 6).astype(np.int8)
        clips.append(
            Clip(
                clip_id=f"{name}_{int(start * 1000):08d}_00",
                video_id=name,
                shot=0,
                track=n % PER_VIDEO,
                start=start,
                end=start + 9.96,
                cover_start=start,
                cover_end=start + 10,
                fps=25.0,
                frames=250,
                frames_failed=0,
                samples=4,
                width=640,
                height=360,
                crop_left=200.0,
                crop_top=60.0,
                crop_side=240.0,
                face_px=60 + n % 90,
                drift=0.1,
                detected=1.0,
                score=0.9,
                sharpness=300.0,
                brightness=0.5,
                contrast=0.2,
                yaw=float(n % 80 - 40),
                pitch=0.0,
                roll=0.0,
                pose_range=10.0,
                mouth_motion=0.1,
                frame_difference=0.01,
                identity_consistency=0.95,
                speech=0.8,
                sync_confidence=4.0,
                sync_offset=0.02,
                motion_print=motion.tobytes().hex(),
                embedding=embeddings[n],
                spec=CONFIG.analysis.spec.hash,
            )
        )
    return clips, person


def made_source(number: int, duration: float) -> Source:
    """A stored video that is nowhere."""
    return Source(
        request_id=f"{number:x}",
        url=f"https://example.invalid/{number}.mp4",
        video_id=f"v-{number:016x}",
        state=SourceState.STORED,
        path=f"videos/v-{number:016x}.mp4",
        sha256=f"{number:064x}",
        uploader=f"channel {number // 3}",
        duration=duration,
    )


def made_sources(rows: int) -> list[Source]:
    return [made_source(n, 10.0 * PER_VIDEO) for n in range(math.ceil(rows / PER_VIDEO))]


class Steps:
    """CPU seconds and peak memory of each step."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[float, float]] = {}

    def __call__(self, name: str, work: Callable):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        begun = time.process_time()  # of all threads: others may use the machine too
        result = work()
        seconds = time.process_time() - begun
        status = Path("/proc/self/status").read_text()
        peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
        self.found[name] = (round(seconds, 2), round(peak))
        print(f"  {name}: {seconds:.2f} s, {peak:.0f} MB", file=sys.stderr, flush=True)
        return result


def store(data: DataFolder, spans: list[Span], clips: list[Clip]) -> None:
    """What workers leave of finished spans; tars are empty."""
    for number, span in enumerate(spans):
        folder = span.folder(data, CONFIG.analysis)
        folder.root.mkdir(parents=True)
        some = clips[number * PER_VIDEO : (number + 1) * PER_VIDEO]
        for clip in some:
            folder.clip(clip.clip_id or "").touch()
        write_clips(some, folder.clips)


def shares(truth: np.ndarray, named: list[str]) -> tuple[float, float]:
    """Precision and recall of pairs of clips that are said to be of one person."""
    one = np.unique(truth, return_inverse=True)[1].astype(np.int64)
    other = np.unique(named, return_inverse=True)[1]

    def pairs(numbers: np.ndarray) -> float:
        counts = np.unique(numbers, return_counts=True)[1].astype(float)
        return float((counts * (counts - 1) / 2).sum())

    both = pairs(one * (int(other.max()) + 1) + other)
    return both / max(1.0, pairs(other)), both / max(1.0, pairs(one))


def settle(data: DataFolder, clips: list[Clip], sources: list[Source]) -> list[Clip]:
    chosen = judged(clips, sources, CONFIG)
    named = assigned(chosen, sources, CONFIG.same_person, PinnedAssignments())
    write_clips(named, data.clips_without_shards)
    return named


def plan_writing(named: list[Clip]) -> int:
    """The number of shards."""
    ready = [
        (clip.split, ShardClip(clip.clip_id or "", clip.identity or "", "a.tar", 2**21, 4))
        for clip in named
        if clip.kept
    ]
    return sum(
        len(plan_shards(split, [c for s, c in ready if s == split], CONFIG.shard_bytes))
        for split in SPLITS
    )


def measured(rows: int, stored: bool, settled: bool) -> dict:
    """The steps of so many rows.

    Args:
        stored: whether finished spans are stored and read as well. settled: no step after settling.
    """
    step = Steps()
    with tempfile.TemporaryDirectory(prefix="fsh-million-") as root:
        data = DataFolder(Path(root))
        sources = made_sources(rows)
        write_sources(sources, data.sources)
        spans = step("plan", lambda: plan_spans(sources, CONFIG.analysis.span))
        clips, person = made_clips(rows)
        if stored:
            store(data, spans, clips)
            step("pending", lambda: pending_spans(data, spans, CONFIG.analysis, retry_failed=False))
            clips.clear()
            step("read", lambda: read_finished(data, spans, CONFIG.analysis))
            found = step("read again", lambda: read_finished(data, spans, CONFIG.analysis))
            clips.extend(finished.clip for finished in found)
            found.clear()

        named = step("settle", lambda: settle(data, clips, sources))
        kept = [n for n, clip in enumerate(named) if clip.kept]
        right = shares(person[kept], [named[n].identity or "" for n in kept])
        if settled:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            return {"rows": rows, "steps": step.found, "people": right, "peak": round(peak)}

        step("write plan", lambda: plan_writing(named))
        named.clear()
        clips.clear()

        def finish() -> None:
            rows = read_clips(data.clips_without_shards, COUNTED)
            made = tables_in(data.clips_without_shards, CLIPS)
            write_tables((placed(one, {}) for one in made), data.clips, CLIPS)
            dataset_counts(rows, [])
            seconds_of(rows)

        step("finish", finish)
        step("train plan", lambda: trained_faces(read_table(data.clips, CLIPS)))
        large = replace(CONFIG, filters=FilterConfig(min_face=100))

        def select() -> None:
            judged([replace(c, reason=None) for c in read_clips(data.clips)], sources, large)

        step("select", select)

        def inspect() -> None:
            browser = ClipBrowser(read_table(data.clips, CLIPS), CONFIG.analysis.spec)
            _ = browser.fixed, browser.edges
            browser.neighbours()

        step("inspect", inspect)
        step("forget", lambda: plan_erasure(data, [sources[0].video_id]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": rows, "steps": step.found, "people": right, "peak": round(peak)}


def table(results: list[dict]) -> str:
    names = list(dict.fromkeys(name for one in results for name in one["steps"]))
    head = ["step"]
    for one in results:
        head += [f"{one['rows']:,}: s", "MB"]
    head += ["slope"] * (len(results) - 1)
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for name in names:
        cells = [name]
        for one in results:
            seconds, peak = one["steps"].get(name, ("", ""))
            cells += [str(seconds), f"{peak:,}" if peak else ""]
        for less, more in itertools.pairwise(results):
            pair = [one["steps"].get(name) for one in (less, more)]
            slope = ""
            if all(pair) and pair[0][0] >= 0.05:
                grown = math.log(pair[1][0] / pair[0][0])
                slope = f"{grown / math.log(more['rows'] / less['rows']):.2f}"
            cells.append(slope)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--spans", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--settled", action="store_true", help="no step after settling")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        stored = options.one in options.spans
        print(json.dumps(measured(options.one, stored, options.settled)))
        return
    results: list[dict] = []
    for rows in options.rows:  # in processes of their own: memory is given back
        print(f"{rows:,} rows", file=sys.stderr)
        command = [sys.executable, __file__, "--one", str(rows)]
        command += ["--spans", *map(str, options.spans)] + ["--settled"] * options.settled
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        results.append(json.loads(done.stdout))
        precision, recall = results[-1]["people"]
        print(table(results))
        print(f"people: pairs with precision {precision:.4f}, recall {recall:.4f}", flush=True)


if __name__ == "__main__":
    main()

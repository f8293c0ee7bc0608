"""Whether tracks keep to their people: two real clips side by side, and crossing one another.

    python tests/benchmarks/crossing.py LIST [--pairs 10]

Two clips are pasted into one picture: next to each other; or on straight ways past each other, one
in front. A clip of ``fsh`` whose boxes lie on one person in some frames and on the other in others,
where the two are apart, has switched.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tarfile
import tempfile
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans.analysis import analyze_span
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.ingest.lists.reading import read_lists
from fsh.pipeline.media.decode import read_region
from fsh.pipeline.media.ffmpeg import binary
from fsh.pipeline.media.probe import probe
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.sample_info import SampleInfo
from fsh.schemas.tables.parquet import read_clips

FPS, COUNT = 25, 100
WIDTH, HEIGHT, TILE = 960, 360, 320


def tiles(path: Path) -> list[np.ndarray]:
    """COUNT frames of a clip's middle square; the clip runs to and fro if it is shorter."""
    facts = probe(path)
    size = (facts.width, facts.height)
    side = min(size) // 2 * 2
    left, top = ((v - side) // 4 * 2 for v in size)
    window = (left, top, left + side, top + side)
    read = [
        cv2.resize(frame.pixels, (TILE, TILE), interpolation=cv2.INTER_AREA)
        for frame in islice(read_region(path, size, window), COUNT)
    ]
    there_and_back = [*range(len(read)), *range(len(read) - 1, -1, -1)]
    return [read[there_and_back[i % len(there_and_back)]] for i in range(COUNT)]


def places(*, crossing: bool) -> np.ndarray:
    """Left edges of the two tiles in every frame, float (COUNT, 2)."""
    way = np.linspace(0, 1, COUNT)[:, None] if crossing else np.zeros((COUNT, 1))
    start, end = np.array([0.0, WIDTH - TILE]), np.array([WIDTH - TILE, 0.0])
    return start + way * (end - start)


def write(path: Path, first: list[np.ndarray], second: list[np.ndarray], at: np.ndarray) -> None:
    command = [binary(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "-", "-c:v", "libx264"]
    command += ["-preset", "veryfast", "-crf", "16", "-pix_fmt", "yuv420p", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        assert encoder.stdin
        for i in range(COUNT):
            frame = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
            for tile, left in ((first[i], at[i, 0]), (second[i], at[i, 1])):
                frame[20 : 20 + TILE, round(left) : round(left) + TILE] = tile
            encoder.stdin.write(frame.tobytes())
        encoder.stdin.close()


def owners(boxes: np.ndarray, times: np.ndarray, at: np.ndarray) -> set[int]:
    """Whose face a clip's boxes lie on, in the frames in which the two people are apart."""
    owner = set()
    for box, time in zip(boxes, times, strict=True):
        middle = (box[0] + box[2]) / 2
        left = at[min(COUNT - 1, round(time * FPS))]
        inside = [k for k in (0, 1) if left[k] <= middle < left[k] + TILE]
        if len(inside) == 1:
            owner.add(inside[0])
    return owner


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list")
    parser.add_argument("--pairs", type=int, default=10)
    arguments = parser.parse_args()
    requests = read_lists([arguments.list]).requests
    one_each = {request.identity: Path(request.url) for request in requests}
    paths = [*one_each.values()][:: max(1, len(one_each) // (2 * arguments.pairs))]
    result = {}
    for crossing in (False, True):
        at = places(crossing=crossing)
        clips, switched, both = 0, [], 0
        for number in range(arguments.pairs):
            pair = paths[2 * number], paths[2 * number + 1]
            with tempfile.TemporaryDirectory() as scratch:
                video = Path(scratch) / "pair.mp4"
                write(video, tiles(pair[0]), tiles(pair[1]), at)
                span, analysis = Span("v-pair", 0.0, 60.0, video.name, "0"), AnalysisConfig()
                data = DataFolder(Path(scratch))
                analyze_span(data, span, analysis)
                folder = span.folder(data, analysis)
                seen: set[int] = set()
                for clip in [clip for clip in read_clips(folder.clips) if clip.samples]:
                    boxes, times = stored(folder.clip(clip.clip_id))
                    owner = owners(boxes, times, at)
                    clips += 1
                    seen |= owner
                    if len(owner) > 1:
                        switched.append([path.name for path in pair])
                both += len(seen) == 2
        name = "crossing" if crossing else "side_by_side"
        result[name] = {
            "pairs": arguments.pairs,
            "pairs_with_clips_of_both": both,
            "clips": clips,
            "switches": len(switched),
            "where": switched,
        }
    print(json.dumps(result))


def stored(tar: Path) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, 4) and times (n,) of a clip."""
    with tarfile.open(tar, ignore_zeros=True) as archive:
        infos = [
            SampleInfo.from_json(archive.extractfile(m).read())  # type: ignore[union-attr]
            for m in archive
            if m.name.endswith(".json")
        ]
    return (
        np.array([box for info in infos for box in info.boxes]),
        np.array([time for info in infos for time in info.times]),
    )


if __name__ == "__main__":
    main()

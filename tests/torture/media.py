"""Broken and odd inputs beside good ones: each is kept or rejected with a class, and the good
ones give the same bytes as without them.

    python tests/torture/media.py [--count 300] [--seed 0]

The inputs are made from a small clip and ffmpeg's own sources: cut anywhere, bits flipped, zeroed,
parts moved, wrong headers, odd sizes, rates, pixel formats and containers. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsh.pipeline.dataset.finish import ShardReport
    from fsh.schemas.tables.records import Clip, Source

HERE = Path(__file__).parent
for folder in (HERE.parents[1] / ".typecheck", HERE.parent / "helpers"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
os.environ["PYTHONPATH"] = str(HERE.parents[1] / ".typecheck")

#: ffmpeg's input and options of inputs that are odd as they are; what it cannot make is left out.
_ODD = [
    ("testsrc2=size=2x2:rate=5:duration=1", ".mkv", ("-c:v", "ffv1")),
    ("testsrc2=size=16384x64:rate=5:duration=0.4", ".mkv", ("-c:v", "mjpeg")),
    ("testsrc2=size=96x64:rate=1000:duration=0.3", ".mkv", ()),
    ("testsrc2=size=96x64:rate=1/30:duration=60", ".mp4", ()),
    ("testsrc2=size=97x65:rate=5:duration=1", ".mkv", ("-c:v", "ffv1", "-pix_fmt", "yuv444p16le")),
    ("testsrc2=size=96x64:rate=5:duration=1", ".mkv", ("-c:v", "ffv1", "-pix_fmt", "gray10le")),
    ("testsrc2=size=96x64:rate=5:duration=1", ".mov", ("-c:v", "qtrle", "-pix_fmt", "argb")),
    ("testsrc2=size=96x64:rate=5:duration=1", ".avi", ("-c:v", "rawvideo", "-pix_fmt", "pal8")),
    ("testsrc2=size=96x64:rate=5:duration=1", ".gif", ()),
    ("testsrc2=size=96x64:rate=5:duration=1", ".webm", ("-c:v", "libvpx", "-live", "1")),
    ("testsrc2=size=96x64:rate=5:duration=1", ".ts", ("-output_ts_offset", "95000")),
    ("testsrc2=size=96x64:rate=5:duration=1", ".flv", ()),
    ("testsrc2=size=96x64:rate=5:duration=1", ".mp4", ("-movflags", "frag_keyframe+empty_moov")),
    ("color=size=96x64:rate=5:duration=1", ".mp4", ("-g", "1000", "-aspect", "100:1")),
]


def odd_files(folder: Path) -> list[Path]:
    """The inputs that are odd as they are, and joined ones whose size changes midway."""
    from fsh.pipeline.media import ffmpeg

    made = []
    for number, (source, suffix, options) in enumerate(_ODD):
        path = folder / f"odd{number:02d}{suffix}"
        command = [ffmpeg.binary(), "-v", "error", "-y", "-f", "lavfi", "-i", source, *options]
        done = subprocess.run([*command, str(path)], capture_output=True)
        if done.returncode == 0 and path.stat().st_size:
            made.append(path)
    parts = []
    for size in ("96x64", "64x96", "128x128"):
        part = folder / f"part{size}.ts"
        source = f"testsrc2=size={size}:rate=5:duration=0.6"
        command = [ffmpeg.binary(), "-v", "error", "-y", "-f", "lavfi", "-i", source, str(part)]
        subprocess.run(command, check=True)
        parts.append(part)
    joined, turned = folder / "joined.ts", folder / "turned.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    first, no_keys, tracks = folder / "keys.ts", folder / "no_keys.ts", folder / "tracks.mkv"
    source = ("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=5:duration=2")
    _ffmpeg(*source, "-c:v", "libx264", "-g", "3", first)
    _ffmpeg("-i", first, "-c", "copy", "-bsf:v", "h264_metadata=rotate=90", turned)
    turned.write_bytes(first.read_bytes() + turned.read_bytes())
    _ffmpeg("-i", first, "-c", "copy", "-bsf:v", "noise=drop=key", no_keys)
    sound = ("-f", "lavfi", "-i", "sine=duration=2", "-map", "0", *("-map", "1") * 100)
    _ffmpeg("-i", first, *sound, "-c:v", "copy", tracks)
    others = [
        path for path in (first, turned, no_keys, tracks) if path.is_file() and path.stat().st_size
    ]
    return [*made, *parts, joined, *others]


def _ffmpeg(*words: object) -> None:
    from fsh.pipeline.media import ffmpeg

    subprocess.run([ffmpeg.binary(), "-v", "error", "-y", *map(str, words)], capture_output=True)


def broken(body: bytes, rng: random.Random) -> bytes:
    """A file with one kind of damage."""
    size, damaged = len(body), bytearray(body)
    kind = rng.randrange(8)
    if kind == 0:
        return body[: rng.randrange(size)]
    if kind == 1:
        return body[rng.randrange(1, size) :]
    if kind == 2:
        for _ in range(rng.choice([1, 10, 1000])):
            damaged[rng.randrange(size)] ^= 1 << rng.randrange(8)
    elif kind == 3:
        start = rng.randrange(size)
        damaged[start : start + 4096] = bytes(min(4096, size - start))
    elif kind == 4:
        for _ in range(64):  # numbers of its head: sizes, durations, rates
            damaged[rng.randrange(min(size, 2000))] = rng.choice([0, 1, 127, 128, 255])
    elif kind == 5:
        a, b = sorted(rng.randrange(size) for _ in range(2))
        damaged = damaged[b:] + damaged[a:b] + damaged[:a]
    elif kind == 6:
        damaged[:64] = rng.randbytes(64)
    else:
        for tag in (b"mvhd", b"mdhd", b"stts", b"tkhd", b"stsd", b"elst"):
            if (at := body.find(tag)) >= 0:
                start = at + 4 + rng.randrange(24)
                damaged[start : start + 4] = rng.choice(
                    [b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"]
                )
    return bytes(damaged)


def outcome(root: Path, inputs: Path) -> tuple[dict[str, str], list[Source], ShardReport]:
    """Ingest and shard; digests of the shards' samples by clip, the sources, shard's report."""
    from fsh.pipeline.dataset.config import AnalysisConfig, ShardConfig
    from fsh.pipeline.dataset.graph import shard
    from fsh.pipeline.ingest.options import IngestOptions
    from fsh.pipeline.ingest.run import ingest
    from fsh.schemas.faces.spec import FaceSpec
    from fsh.schemas.places.layout import DataFolder
    from fsh.schemas.progress import Silent
    from fsh.schemas.tables.parquet import read_sources

    data = DataFolder(root)
    ingest([str(inputs)], data, IngestOptions(max_failures=1.0, workers=2), Silent())
    analysis = AnalysisConfig(spec=FaceSpec(backend="dlib", size=64))
    config = ShardConfig(analysis, max_failed=1.0)
    report = shard(data, config, workers=2, progress=Silent())
    return samples(data), read_sources(data.sources), report


def samples(data) -> dict[str, str]:
    import hashlib

    from fsh.schemas.shards.sample import read_samples

    found = {}
    for path in sorted(data.shards.rglob("*.tar")):
        for sample in read_samples(path):
            body = b"".join(sample[name] for name in sorted(sample.places) if name != "json")
            found[sample.key] = hashlib.sha256(body).hexdigest()
    return found


def faults_of(files: int, sources: list[Source], clips: list[Clip], done: ShardReport) -> list[str]:
    """What is not as promised: inputs without a row, rows without a class, seconds unaccounted."""
    ended = {clip.video_id for clip in clips}
    faults = [] if len(sources) == files else [f"{files} files, {len(sources)} rows"]
    for source in sources:
        if not source.path and not source.error_class:
            faults.append(f"without a class: {source.url}")
        if source.path and source.video_id not in ended:
            faults.append(f"without an end: {source.url}")
        if "failed: internal" in source.error:
            faults.append(f"internal: {source.error}")
    faults += [f"internal: {clip.error}" for clip in clips if str(clip.reason) == "internal"]
    spent = done.seconds_kept + sum(done.seconds_rejected.values())
    if abs(done.seconds_in - spent) > 0.001:
        faults.append(f"{done.seconds_in} s in, {spent} s kept or rejected")
    return faults


def make_inputs(root: Path, mixed: Path, count: int, rng: random.Random) -> None:
    """Fill a folder with ``count`` odd and broken files, and a good one that ``root`` has too."""
    from videos import moving, write_video

    good = write_video(root / "good" / "good.mp4", moving(1.6))
    small = write_video(root / "small.mp4", moving(1.6, size=(320, 320)))
    (mixed / "good.mp4").write_bytes(good.read_bytes())
    odd = odd_files(mixed)
    seeds = [small, *odd]
    for number in range(max(0, count - len(odd))):
        source = small if rng.random() < 0.6 else rng.choice(seeds)
        path = mixed / f"broken{number:04d}{source.suffix}"
        path.write_bytes(broken(source.read_bytes(), rng))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    from fsh.pipeline.ingest.lists.folders import media_files
    from fsh.schemas.places.layout import DataFolder
    from fsh.schemas.places.temporary import scratch_folder
    from fsh.schemas.tables.parquet import read_clips

    with scratch_folder("torture-media") as root:
        good, mixed = root / "good", root / "mixed"
        good.mkdir()
        mixed.mkdir()
        make_inputs(root, mixed, chosen.count, random.Random(chosen.seed))
        wanted, *_ = outcome(root / "alone", good)
        found, sources, done = outcome(root / "data", mixed)
        clips = read_clips(DataFolder(root / "data").clips)
        faults = faults_of(len(media_files(mixed)), sources, clips, done)
        if not wanted or any(found.get(key) != digest for key, digest in wanted.items()):
            faults.append("the good video's samples are not the same beside the others")
        report = {
            "inputs": len(sources),
            "stored": sum(bool(s.path) for s in sources),
            "refused": dict(Counter(s.error_code for s in sources if not s.path)),
            "clips": dict(Counter(str(clip.reason or "kept") for clip in clips)),
            "seconds": done.seconds_in,
            "faults": faults,
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main()

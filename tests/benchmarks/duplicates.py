"""``duplicate_of`` against planted re-uploads of many kinds, among clips of other footage.

    python tests/benchmarks/duplicates.py DATA WORK [--videos 12]

Of videos of DATA, which was sharded, copies of their first seconds are made in WORK in each of the
ways of ``KINDS`` and sharded there with their originals by ``fsh`` itself. Prints, by kind, how
many copies gave a clip, how many of them are linked with their original, and the precision: pairs
that come from one video, of all that are said to be the same footage. The other clips of DATA are
compared with them as well, since most footage in a collection is no copy. Pairs that DATA itself
holds are listed first, and how many of its clips would be found if their stored landmarks were
played faster, or began later: what re-encoding does besides is not in that.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
from pathlib import Path

import numpy as np

import fsh
from fsh.pipeline.dataset.pages.clip_pictures import ClipPlace, stored_samples
from fsh.pipeline.dataset.settling.duplicates import SAME_FOOTAGE, same_footage
from fsh.pipeline.faces.motion_print import motion_likeness, motion_of, motion_print
from fsh.pipeline.media.ffmpeg import binary
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.card import DatasetCard
from fsh.schemas.tables.parquet import read_clips
from fsh.schemas.tables.records import Clip

#: Seconds of each original.
LENGTH = 5.0
_EVEN = "scale=trunc(iw/2)*2:trunc(ih/2)*2"
KINDS = {
    "half the size, low bit rate": ["-vf", "scale=trunc(iw/4)*2:-2", "-crf", "34"],
    "a third of the size": ["-vf", "scale=trunc(iw/6)*2:-2", "-crf", "28"],
    "very low bit rate": ["-crf", "42"],
    "other colours, 0.7 s later": [
        *("-ss", "0.7", "-vf", "eq=contrast=0.9:brightness=0.05:saturation=1.3")
    ],
    "2.3 s later": ["-ss", "2.3"],
    "cropped to four fifths": ["-vf", f"crop=iw*0.8:ih*0.8,{_EVEN}"],
    "bars above and below": ["-vf", f"pad=iw:ih*1.3:0:(oh-ih)/2,{_EVEN}"],
    "black frame, 19 frames/s": ["-vf", f"pad=iw*1.2:ih*1.2:(ow-iw)/2:(oh-ih)/2,{_EVEN},fps=19"],
    "stretched by a tenth": ["-vf", "scale=trunc(iw*0.55)*2:trunc(ih/2)*2"],
    "turned by 3 degrees": ["-vf", "rotate=3*PI/180"],
    "mirrored": ["-vf", "hflip"],
    "4 % faster": ["-vf", "setpts=PTS/1.04"],
    "a quarter faster": ["-vf", "setpts=PTS/1.25"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--videos", type=int, default=12)
    options = parser.parse_args()
    data = DataFolder(options.data)
    kept = [clip for clip in read_clips(data.clips) if clip.kept]
    print(f"{len(kept)} clips of DATA; the same footage, as it says:")
    related = set()
    for i, j in same_footage(kept):
        related |= {kept[i].video_id, kept[j].video_id}
        print("  ", kept[i].clip_id, kept[j].clip_id, kept[i].identity, kept[j].identity)
    played_otherwise(data, kept)
    fit = [c for c in kept if (c.face_px or 0) > 110 and (c.end or 0) - (c.start or 0) > 4]
    videos = sorted({clip.video_id for clip in fit} - related)
    chosen = videos[:: max(1, len(videos) // options.videos)][: options.videos]
    spec = DatasetCard.read(data.card).spec
    fsh.ingest(planted(data, chosen, options.work), options.work / "data")
    fsh.shard(options.work / "data", landmarks=spec.backend, size=spec.size)
    clips = [clip for clip in fsh.open_dataset(options.work / "data").clips() if clip.kept]
    names = [clip.identity or "" for clip in clips]
    report(clips, names, len(chosen))
    others = [clip for clip in kept if clip.video_id not in {*chosen, *related}]
    pairs = [*same_footage([*clips, *others])]
    wrong = [pair for pair in pairs if max(pair) >= len(clips)]
    print(f"beside {len(others)} clips of other footage: {len(wrong)} of {len(pairs)} pairs wrong")
    splits: dict[str, set[str]] = {}
    for clip in clips:
        splits.setdefault((clip.identity or "").partition("-")[0], set()).add(clip.split or "")
    print("originals whose copies lie in several splits:", sum(len(s) > 1 for s in splits.values()))


def played_otherwise(data: DataFolder, clips: list[Clip]) -> None:
    """Print which share of clips is like itself at other speeds, and without its beginning."""
    found: dict[str, list[bool]] = {}
    for clip in [c for c in clips if (c.end or 0) - (c.start or 0) > 4][::4]:
        place = ClipPlace(clip.clip_id or "", clip.shard, clip.offset, clip.bytes)
        samples = stored_samples(data, place)
        points = np.concatenate([sample.landmarks for sample in samples])
        times = np.concatenate([np.array(sample.info.times) for sample in samples])
        ways = {f"{speed:g} times as fast": (points, times / speed) for speed in (1.04, 1.1, 1.25)}
        for late in (0.7, 2.3):
            rest = times >= times[0] + late
            ways[f"from {late:g} s on"] = points[rest], times[rest]
        own = motion_of(motion_print(points, times))
        for way, changed in ways.items():
            likeness = motion_likeness(own, [motion_of(motion_print(*changed))])[0]
            found.setdefault(way, []).append(bool(likeness >= SAME_FOOTAGE))
    for way, hits in found.items():
        print(f"landmarks of {len(hits)} clips, {way}: {np.mean(hits):.2f} found")


def planted(data: DataFolder, videos: list[str], work: Path) -> Path:
    """Make the copies; the list of them, in which an identity is ``<number>-<kind>``."""
    copies, listed = work / "copies", work / "list.csv"
    copies.mkdir(parents=True, exist_ok=True)
    with listed.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["url", "identity"])
        for number, video in enumerate(videos):
            (source,) = data.videos.glob(f"{video}.*")
            ways = {"original": ["-vf", _EVEN, "-crf", "18"], **KINDS}
            for place, (kind, how) in enumerate(ways.items()):
                copy = copies / f"{number}-{place}.mp4"
                command = [binary(), "-v", "error", "-y", "-t", str(LENGTH), "-i", str(source)]
                command += [*how, "-an", "-c:v", "libx264", "-preset", "veryfast"]
                command += ["-pix_fmt", "yuv420p", str(copy)]
                if copy.exists() or not subprocess.run(command, check=False).returncode:
                    rows.writerow([str(copy.resolve()), f"{number}-{kind}"])
    return listed


def report(clips: list, names: list[str], count: int) -> None:
    """Print recall by kind, and the precision among the planted."""
    origin = {name: name.partition("-")[0] for name in names}
    pairs = [(names[i], names[j]) for i, j in same_footage(clips)]
    wrong = sorted({tuple(sorted(pair)) for pair in pairs if origin[pair[0]] != origin[pair[1]]})
    right = sum(origin[one] == origin[other] for one, other in pairs)
    print(f"{len(clips)} clips of {count} originals and their copies, threshold {SAME_FOOTAGE}:")
    print(f"{len(pairs)} pairs, precision {right / max(1, len(pairs)):.3f}; wrong: {wrong}")
    linked = {frozenset(pair) for pair in pairs}
    print("| copy | copies with a clip | linked with the original | in one group with it |")
    print("| --- | --- | --- | --- |")
    for kind in KINDS:
        both = [
            number
            for number in map(str, range(count))
            if {f"{number}-original", f"{number}-{kind}"} <= set(names)
        ]
        found = sum(frozenset((f"{n}-original", f"{n}-{kind}")) in linked for n in both)
        grouped = sum(in_one_group(f"{n}-original", f"{n}-{kind}", linked) for n in both)
        share = f"{found / max(1, len(both)):.2f}", f"{grouped / max(1, len(both)):.2f}"
        print(f"| {kind} | {len(both)} | {share[0]} | {share[1]} |")


def in_one_group(one: str, other: str, linked: set[frozenset[str]]) -> bool:
    """Whether pairs lead from one name to the other."""
    reached, grown = {one}, True
    while grown:
        more = {name for pair in linked if pair & reached for name in pair}
        grown = not more <= reached
        reached |= more
    return other in reached


if __name__ == "__main__":
    main()

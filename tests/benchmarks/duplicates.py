"""``duplicate_of`` against planted re-uploads: scaled, compressed, trimmed, in frames.

    python tests/benchmarks/duplicates.py DATA WORK [--videos 24]

Of videos of DATA, which was sharded, copies are made in WORK in three ways and sharded there with
their originals by ``fsh`` itself:

- half the size at a low bit rate;
- without the first 0.7 s, and at other colours;
- at 3/4 of the frame rate with a black frame around it.

Prints the recall by kind, and the precision: pairs of clips that are said to be the same footage
and come from one video, of all that are said to be. Pairs that DATA itself holds are listed.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
from pathlib import Path

import fsh
from fsh.pipeline.dataset.settling.duplicates import SAME_FOOTAGE, same_footage
from fsh.pipeline.media.ffmpeg import binary
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.tables.parquet import read_clips

KINDS = {
    "half": ["-vf", "scale=trunc(iw/4)*2:-2", "-crf", "34"],
    "trimmed": ["-ss", "0.7", "-vf", "eq=contrast=0.9:brightness=0.05:saturation=1.3"],
    "framed": ["-vf", "pad=iw*1.2:ih*1.2:(ow-iw)/2:(oh-ih)/2,scale=trunc(iw/2)*2:-2,fps=19"],
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--videos", type=int, default=24)
    options = parser.parse_args()
    data = DataFolder(options.data)
    kept = [clip for clip in read_clips(data.clips) if clip.kept]
    print(f"{len(kept)} clips of DATA; the same footage, as it says:")
    for i, j in same_footage(kept):
        print("  ", kept[i].clip_id, kept[j].clip_id, kept[i].identity, kept[j].identity)
    videos = sorted({c.video_id for c in kept if c.face_px and c.face_px > 150})
    copies = options.work / "copies"
    copies.mkdir(parents=True, exist_ok=True)
    with (options.work / "list.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["url", "identity"])
        for number, video in enumerate(videos[:: max(1, len(videos) // options.videos)]):
            (source,) = data.videos.glob(f"{video}.*")
            rows.writerow([str(source.resolve()), f"original-{number}"])
            for kind, how in KINDS.items():
                copy = copies / f"{number}-{kind}.mp4"
                command = [binary(), "-v", "error", "-y", "-i", str(source), *how]
                command += ["-c:v", "libx264", "-pix_fmt", "yuv420p", str(copy)]
                if not copy.exists() and subprocess.run(command, check=False).returncode:
                    continue
                rows.writerow([str(copy.resolve()), f"{kind}-{number}"])
    fsh.ingest(options.work / "list.csv", options.work / "data")
    fsh.shard(options.work / "data", landmarks="mediapipe")
    clips = [c for c in fsh.open_dataset(options.work / "data").clips() if c.kept]
    names = [clip.identity or "" for clip in clips]
    origin = {name: name.rpartition("-")[2] for name in names}
    pairs = [(names[i], names[j]) for i, j in same_footage(clips)]
    right = sum(origin[a] == origin[b] for a, b in pairs)
    wrong = sorted({tuple(sorted(pair)) for pair in pairs if origin[pair[0]] != origin[pair[1]]})
    print(f"threshold {SAME_FOOTAGE}: {len(pairs)} pairs, precision {right / len(pairs):.3f}")
    print("  of two videos:", wrong)
    linked = {frozenset(pair) for pair in pairs}
    for kind in KINDS:
        numbers = [origin[n] for n in set(names) if n.startswith(kind)]
        both = [n for n in numbers if f"original-{n}" in names]
        found = sum(frozenset((f"{kind}-{n}", f"original-{n}")) in linked for n in both)
        print(f"{kind}: recall {found / len(both):.2f} of {len(both)} videos")
    splits: dict[str, set[str]] = {}
    for clip in clips:
        splits.setdefault(origin[clip.identity or ""], set()).add(clip.split or "")
    print("originals whose copies lie in several splits:", sum(len(s) > 1 for s in splits.values()))


if __name__ == "__main__":
    main()

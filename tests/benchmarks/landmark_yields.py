"""What another landmark backend does to a data set's yield: two data sets of the same videos.

    fsh ingest LIST --data A && fsh shard --data A --landmarks dlib
    fsh ingest LIST --data B && fsh shard --data B --landmarks mediapipe
    python tests/benchmarks/landmark_yields.py A B

Tracks do not depend on the backend, so clips are compared one by one. Printed: clips by reason, at
the defaults and at stricter turns of the head; those that only one of the two keeps, with the
other's reason; frames without landmarks. It reads the stored scores only.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

from fsh.pipeline.dataset.config import FilterConfig
from fsh.pipeline.dataset.settling.filters import reject_reason
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.card import DatasetCard
from fsh.schemas.tables.parquet import read_clips
from fsh.schemas.tables.records import Clip

#: Turns of the head at which clips are rejected as ``profile``, degrees; the default is the first.
TURNS = (75.0, 60.0, 45.0, 30.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs=2)
    sets = [read(DataFolder(folder)) for folder in parser.parse_args().data]
    names = [spec.backend for spec, _ in sets]
    shared = sorted(sets[0][1].keys() & sets[1][1].keys())
    apart = [len(clips) - len(shared) for _, clips in sets]
    print(f"{len(shared)} tracks in both; in one alone: {apart}")
    for turn in TURNS:
        filters = replace(FilterConfig(), max_yaw=turn)
        verdicts = [
            {name: str(reject_reason(clips[name], filters, spec) or "kept") for name in shared}
            for spec, clips in sets
        ]
        print(f"max_yaw={turn:g}")
        for name, found in zip(names, verdicts, strict=True):
            print(f"  {name}: {dict(Counter(found.values()).most_common())}")
        for one, other in ((0, 1), (1, 0)):
            gone = [n for n in shared if verdicts[one][n] != "kept" == verdicts[other][n]]
            seconds = sum(length_of(sets[other][1][n]) for n in gone)
            why = dict(Counter(verdicts[one][n] for n in gone))
            print(f"  only {names[other]} keeps {len(gone)} clips, {seconds:.1f} s: {why}")
            print(f"    {gone}")
    for name, (_, clips) in zip(names, sets, strict=True):
        failed = sum(clips[n].frames_failed or 0 for n in shared)
        frames = sum(clips[n].frames or 0 for n in shared)
        print(f"{name}: {frames} frames with landmarks, {failed} without")


def read(data: DataFolder) -> tuple[FaceSpec, dict[str, Clip]]:
    """Its spec, and its tracks by name; of those that were cropped, not what filters said."""
    clips = [clip for clip in read_clips(data.clips) if clip.clip_id]
    found = {c.clip_id or "": replace(c, reason=None) if c.samples else c for c in clips}
    return DatasetCard.read(data.card).spec, found


def length_of(clip: Clip) -> float:
    """Seconds of a track."""
    return (clip.end or 0.0) - (clip.start or 0.0)


if __name__ == "__main__":
    main()

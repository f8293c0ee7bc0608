"""What every filter's default does to a data set: alone, and in order, as a Markdown table.

    python tests/benchmarks/yields.py DATA

It reads the stored scores only. ``alone``: clips that the filter would reject if it were the only
one; ``in order``: clips that it rejects of those that all before it let through.

A second table has the filters that are off by default: of the clips that the defaults keep, how
many have the score, and how many clips and seconds would go at mild and at strict thresholds.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fsh.pipeline.dataset.config import FilterConfig
from fsh.pipeline.dataset.settling.duplicates import with_duplicates
from fsh.pipeline.dataset.settling.filters import THRESHOLDS, columns_of_clips, verdicts
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.card import DatasetCard
from fsh.schemas.tables.parquet import read_clips
from fsh.schemas.tables.records import Clip

#: Filters that are off by default, from mild to strict.
WISHES = (
    *("min_mouth_motion=0.02", "min_speech=0.1", "min_speech=0.5"),
    *("min_sync=2", "min_sync=2.5", "min_sync=3"),
    *("max_sync_offset=0.3", "max_sync_offset=0.15", "max_text=0.1", "max_text=0.02"),
    "duplicates=0",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    data = DataFolder(parser.parse_args().data)
    spec = DatasetCard.read(data.card).spec
    clips = read_clips(data.clips)
    scored = [clip for clip in clips if clip.samples]
    before = Counter(str(clip.reason) for clip in clips if not clip.samples)
    alone: Counter[str] = Counter()
    first: Counter[str] = Counter()
    reasons: list[str] = []
    for clip in scored:
        judged = list(verdicts(clip, FilterConfig(), spec))
        reasons = list(dict.fromkeys(reason for reason, _ in judged))
        failed = list(dict.fromkeys(reason for reason, fails in judged if fails))
        alone.update(failed)
        first.update(failed[:1])
    lines = ["| filter | alone | in order | left |", "| --- | --- | --- | --- |"]
    left = len(clips)
    for reason, count in sorted(before.items()):
        left -= count
        lines.append(f"| `{reason}` (while analysing) | | {count} | {left} |")
    for reason in reasons:
        left -= first[reason]
        lines.append(f"| `{reason}` | {alone[reason]} | {first[reason]} | {left} |")
    sys.stdout.write("\n".join([*lines, "", *wished(clips, spec)]) + "\n")


def wished(clips: Sequence[Clip], spec: FaceSpec) -> list[str]:
    """The lines of the second table."""
    defaults = FilterConfig()
    kept = [
        replace(clip, kept=True)
        for clip in clips
        if clip.samples and not any(fails for _, fails in verdicts(clip, defaults, spec))
    ]
    kept = with_duplicates(kept)
    columns = columns_of_clips(kept)
    seconds = np.array([(clip.end or 0.0) - (clip.start or 0.0) for clip in kept])
    lines = [
        f"| option, alone, of {len(kept)} clips ({seconds.sum():.0f} s) | with the score | takes |",
        "| --- | --- | --- |",
    ]
    by_name = {one.name: one for one in THRESHOLDS}
    for wish in WISHES:
        name, _, value = wish.partition("=")
        measured = by_name[name].measure(columns, spec)
        fails = by_name[name].fails(measured, float(value))
        share = seconds[fails].sum() / max(seconds.sum(), 1e-9)
        taken = f"{fails.sum()} clips, {seconds[fails].sum():.0f} s ({share:.1%})"
        lines.append(f"| `--filter {wish}` | {np.isfinite(measured).sum()} | {taken} |")
    return lines


if __name__ == "__main__":
    main()

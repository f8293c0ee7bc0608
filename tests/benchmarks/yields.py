"""What every filter's default does to a data set: alone, and in order, as a Markdown table.

    python tests/benchmarks/yields.py DATA

It reads the stored scores only. ``alone``: clips that the filter would reject if it were the only
one; ``in order``: clips that it rejects of those that all before it let through.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from fsh.pipeline.dataset.config import FilterConfig
from fsh.pipeline.dataset.settling.filters import verdicts
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.card import DatasetCard
from fsh.schemas.tables.parquet import read_clips


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
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

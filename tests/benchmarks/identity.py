"""Whether people are told apart without labels: the clusters against the labels that were hidden.

    python tests/benchmarks/identity.py DATA [--same NAME=NAME ...]

DATA is a finished data folder whose list named the people. Pairs of kept clips are counted: how
many that were named one person are one (precision), how many of one person were named one (recall);
and which people would have clips in two splits. ``--same`` says that two labels are one person, as
happens where a list was put together from several data sets.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from fsh.pipeline.dataset.config import ShardConfig
from fsh.pipeline.dataset.settling.identity import assign_splits, name_people
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.tables.parquet import read_clips, read_sources


def pairs(truth: np.ndarray, named: np.ndarray, counted: np.ndarray) -> dict[str, float]:
    upper = np.triu(counted, 1)
    true = (truth[:, None] == truth[None]) & upper
    same = (named[:, None] == named[None]) & upper
    right = int((true & same).sum())
    return {
        "pairs_of_one_person": int(true.sum()),
        "precision": round(right / max(1, int(same.sum())), 4),
        "recall": round(right / max(1, int(true.sum())), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--same", nargs="*", default=[])
    arguments = parser.parse_args()
    data = DataFolder(arguments.data)
    alias = dict(pair.split("=") for pair in arguments.same)
    label = {
        source.video_id: alias.get(source.identity, source.identity)
        for source in read_sources(data.sources)
    }
    clips = [clip for clip in read_clips(data.clips) if clip.kept]
    truth = np.array([label[clip.video_id] for clip in clips])
    videos = np.array([clip.video_id for clip in clips])
    result: dict[str, object] = {"clips": len(clips), "people": len(set(truth))}
    default = ShardConfig().same_person
    for distance in sorted({default, *(round(0.34 + 0.02 * k, 2) for k in range(8))}):
        found = name_people(clips, [""] * len(clips), list(videos), distance)
        named = np.array([name for name, _ in found])
        place = assign_splits(list(named))
        where = defaultdict(set)
        for person, name in zip(truth, named, strict=True):
            where[person].add(place[name])
        result[f"{distance:.2f}" + (" (default)" if distance == default else "")] = {
            "all": pairs(truth, named, np.ones((len(clips), len(clips)), bool)),
            "across_videos": pairs(truth, named, videos[:, None] != videos[None]),
            "names": len(set(named)),
            "people_in_two_splits": sorted(p for p, s in where.items() if len(s) > 1),
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

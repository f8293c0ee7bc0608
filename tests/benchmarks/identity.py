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
from fsh.pipeline.dataset.identity import identities, splits
from fsh.schemas.layout import DataFolder
from fsh.schemas.tables import CLIPS, SOURCES, read_table


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
        row["video_id"]: alias.get(row["identity"], row["identity"])
        for row in read_table(data.sources, SOURCES).to_pylist()
    }
    rows = [row for row in read_table(data.clips, CLIPS).to_pylist() if row["kept"]]
    truth = np.array([label[row["video_id"]] for row in rows])
    videos = np.array([row["video_id"] for row in rows])
    result: dict[str, object] = {"clips": len(rows), "people": len(set(truth))}
    default = ShardConfig().same_person
    for distance in sorted({default, *(round(0.34 + 0.02 * k, 2) for k in range(8))}):
        found = identities(rows, [""] * len(rows), list(videos), distance)
        named = np.array([name for name, _ in found])
        place = splits(list(named))
        where = defaultdict(set)
        for person, name in zip(truth, named, strict=True):
            where[person].add(place[name])
        result[f"{distance:.2f}" + (" (default)" if distance == default else "")] = {
            "all": pairs(truth, named, np.ones((len(rows), len(rows)), bool)),
            "across_videos": pairs(truth, named, videos[:, None] != videos[None]),
            "names": len(set(named)),
            "people_in_two_splits": sorted(p for p, s in where.items() if len(s) > 1),
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

"""``data/README.md``: the data set's card for people, with what Hugging Face's ``datasets`` needs.

Its front matter names the shards of each split, so that
``load_dataset("data")`` reads the folder, here or published. Everything in it comes from
``dataset.json``; it names no video and nobody.
"""

from __future__ import annotations

import json

from fsh.schemas.places.layout import SPLITS, DataFolder
from fsh.schemas.places.stores import content_of
from fsh.schemas.places.temporary import replacing
from fsh.schemas.shards.card import DatasetCard

#: What Hugging Face calls the splits.
SPLIT_NAMES = {"train": "train", "val": "validation", "test": "test"}
#: In every page that fsh made; another README.md is the user's.
_MADE = "<!-- made by `fsh shard`, and made anew by it: write your own page under another name -->"
_PAGE = """\
{made}

# Talking heads

{counts[clips]:,} clips of {counts[identities]:,} people from {counts[videos]:,} videos:
{counts[samples]:,} samples, {counts[frames]:,} frames of {size} × {size} pixels with landmarks
({backend}). {rejected:,} face tracks were rejected; `clips/clips.parquet` says why. What it is, how
it was made and what to mind stands in `dataset.json` (Croissant 1.1).

```python
from datasets import load_dataset

faces = load_dataset("path/to/this/folder", split="{first}", streaming=True)
scores = load_dataset("parquet", data_files="path/to/this/folder/clips/clips.parquet")
```

A sample is a run of at most 64 frames: `json` (identity, times, boxes, crop window and `offsets`),
`preview.jpg` (the frame in the middle), `landmarks.npy` (frames × 68 × 2, crop pixels),
{mesh}`frames.mjpeg` (the frames' JPEGs one after the other: number `i` is
`frames.mjpeg[offsets[i]:offsets[i + 1]]`). Players show that member as it is.

Faces of identifiable people: personal data, in many places biometric. Licences stand per video in
`sources/sources.parquet`. To publish it, have a legal basis for everybody in it, and leave out
`videos/`, `work/` and `sources/`.
"""


def dataset_readme(card: DatasetCard) -> str:
    """The page of a data set."""
    counts = dict.fromkeys(("clips", "identities", "videos", "samples", "frames"), 0)
    counts |= card.counts
    splits = [name for name in SPLITS if card.split(name)]
    files = [{"split": SPLIT_NAMES[one], "path": f"shards/{one}/*.tar"} for one in splits]
    # One builder reads all configurations of a folder, so the table of clips cannot be another one.
    configs = [{"config_name": "default", "data_files": files}] if files else []
    front = {"license": "other", "tags": ["talking-head", "webdataset"], "configs": configs}
    lines = [f"{key}: {json.dumps(value)}" for key, value in front.items()]
    page = _PAGE.format(
        made=_MADE,
        counts=counts,
        rejected=counts.get("rejected", 0),
        size=card.spec.size,
        backend=card.spec.backend,
        first=SPLIT_NAMES[splits[0]] if splits else "train",
        mesh="`mesh.npy` (frames × 478 × 3), " if card.spec.backend == "mediapipe" else "",
    )
    return "\n".join(["---", *lines, "---", page])


def write_dataset_readme(data: DataFolder) -> None:
    """Write the page beside the data set's card, unless the user has a README.md of their own."""
    text = dataset_readme(DatasetCard.read(data.card))
    try:
        if _MADE not in content_of(data.readme).decode(errors="replace"):
            return
    except FileNotFoundError:
        pass
    with replacing(data.readme) as temporary:
        temporary.write_text(text, encoding="utf-8")

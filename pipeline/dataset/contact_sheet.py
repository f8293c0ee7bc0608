"""One HTML page that shows what a data set holds: counts, rejects, and the faces themselves."""

from __future__ import annotations

import base64
import io
import tarfile
from collections import Counter
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import cv2
import jinja2
import numpy as np
import pyarrow as pa

from fsh.schemas.errors import FshError
from fsh.schemas.ids import stable_hash
from fsh.schemas.layout import SPLITS, DataFolder
from fsh.schemas.progress import Progress
from fsh.schemas.sample import frame_extension
from fsh.schemas.tables import CLIPS, read_table

_THUMB = 128  # side of a picture on the page, pixels
_HISTOGRAMS = {
    "face_px": "face size, pixels",
    "sharpness": "sharpness",
    "yaw": "yaw, degrees",
    "mouth_motion": "mouth motion",
}


@dataclass(frozen=True)
class Strip:
    """A clip on the page: its table row and a few frames as data URIs."""

    row: dict
    pictures: list[str]


def summary(clips: pa.Table) -> dict[str, object]:
    """Counts of a clips table, for people and for ``--json``."""
    rows = clips.to_pylist()
    kept = [row for row in rows if row["kept"]]
    splits: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        part = [row for row in kept if row["split"] == split]
        splits[split] = {
            "clips": len(part),
            "identities": len({row["identity"] for row in part}),
            "samples": sum(row["samples"] or 0 for row in part),
            "frames": sum(row["frames"] or 0 for row in part),
            "seconds": round(sum((row["end"] or 0) - (row["start"] or 0) for row in part)),
        }
    rejected = Counter(row["reason"] for row in rows if not row["kept"])
    return {
        "videos": len({row["video_id"] for row in rows}),
        "clips_kept": len(kept),
        "clips_rejected": dict(rejected.most_common()),
        "splits": splits,
    }


def strip_of(data: DataFolder, row: dict, count: int = 4) -> Strip:
    """Evenly spaced frames of a kept clip, landmarks drawn, read straight from its shard."""
    files = _first_sample(data, row)
    if not files:
        return Strip(row, [])
    landmarks = np.load(io.BytesIO(files["landmarks.npy"]), allow_pickle=False)
    picks = np.linspace(0, len(landmarks) - 1, count).round().astype(int)
    pictures = []
    for index in dict.fromkeys(picks.tolist()):
        coded = np.frombuffer(files[frame_extension(index)], np.uint8)
        frame = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        assert frame is not None, row["shard"]
        pictures.append(_data_uri(draw_landmarks(frame, landmarks[index])))
    return Strip(row, pictures)


def draw_landmarks(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A copy of a frame, scaled to the thumbnail size, with a dot on each landmark."""
    scale = _THUMB / frame.shape[0]
    small = cv2.resize(frame, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA)
    for x, y in (points + 0.5) * scale - 0.5:
        if np.isfinite(x):
            cv2.circle(small, (round(float(x)), round(float(y))), 1, (80, 255, 80), -1, cv2.LINE_AA)
    return small


def make_page(data: DataFolder, target: Path, progress: Progress, *, limit: int = 200) -> dict:
    """Write the page.

    Args:
        limit: how many kept clips are shown at most; a fixed pseudo-random choice of them.

    Returns:
        The counts that stand on it (see :func:`summary`).

    Raises:
        FshError: if nothing has been sharded yet.
    """
    try:
        clips = read_table(data.clips, CLIPS)
    except FileNotFoundError:
        raise FshError("no clips here", where=data.clips, remedy="run `fsh shard` first") from None
    counts = summary(clips)
    rows = clips.to_pylist()
    kept = [row for row in rows if row["kept"]]
    chosen = sorted(kept, key=lambda row: stable_hash(row["clip_id"]))[:limit]
    chosen.sort(key=lambda row: (SPLITS.index(row["split"]), row["identity"], row["clip_id"]))
    strips = []
    progress.start("contact sheet", len(chosen), "clip")
    for row in chosen:
        strips.append(strip_of(data, row))
        progress.advance()
    progress.stop()
    template = jinja2.Environment(autoescape=True).from_string(
        (files("fsh.pipeline.dataset") / "contact_sheet.html.j2").read_text()
    )
    page = template.render(
        counts=counts,
        strips=strips,
        shown=len(chosen),
        rejected=[row for row in rows if not row["kept"]],
        histograms=[_histogram(kept, name, label) for name, label in _HISTOGRAMS.items()],
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page)
    return counts


def _first_sample(data: DataFolder, row: dict) -> dict[str, bytes]:
    """The files of a clip's first sample by extension; nothing if the shard is gone."""
    path = data.root / row["shard"]
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        file.seek(row["offset"])
        blob = io.BytesIO(file.read(row["bytes"]))
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=blob) as archive:
        first = ""
        for member in archive:
            key, extension = member.name.split(".", 1)
            first = first or key
            if key != first:
                break
            content = archive.extractfile(member)
            files[extension] = content.read() if content else b""
    return files


def _data_uri(picture: np.ndarray) -> str:
    _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return "data:image/jpeg;base64," + base64.b64encode(coded.tobytes()).decode()


def _histogram(rows: list[dict], name: str, label: str) -> dict[str, object]:
    values = np.array([row[name] for row in rows if row[name] is not None], np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return {"label": label, "bars": [], "low": "", "high": ""}
    heights, edges = np.histogram(values, bins=24)
    bars = (100 * heights / heights.max()).round().astype(int).tolist()
    return {"label": label, "bars": bars, "low": f"{edges[0]:.3g}", "high": f"{edges[-1]:.3g}"}

"""One HTML page that shows what a data set holds: counts, rejects, and the faces themselves."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import cv2
import jinja2
import numpy as np

from fsh.schemas.errors import FshError
from fsh.schemas.ids import stable_hash
from fsh.schemas.layout import SPLITS, DataFolder
from fsh.schemas.progress import Progress
from fsh.schemas.records import Clip, known
from fsh.schemas.sample import StoredSample, samples_in
from fsh.schemas.tables import read_clips

#: Side of a picture on the page, pixels.
_THUMB = 128
#: Scores that are shown as histograms, and what the page calls them.
_HISTOGRAMS = {
    "face_px": "face size, pixels",
    "sharpness": "sharpness",
    "yaw": "yaw, degrees",
    "mouth_motion": "mouth motion",
}


@dataclass(frozen=True)
class Strip:
    """A clip on the page, with a few of its frames as data URIs."""

    clip: Clip
    pictures: list[str]


def summary(clips: Sequence[Clip]) -> dict[str, object]:
    """Counts of a table of clips, for people and for ``--json``."""
    kept = [clip for clip in clips if clip.kept]
    splits: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        part = [clip for clip in kept if clip.split == split]
        splits[split] = {
            "clips": len(part),
            "identities": len({clip.identity for clip in part}),
            "samples": sum(clip.samples or 0 for clip in part),
            "frames": sum(clip.frames or 0 for clip in part),
            "seconds": round(sum((clip.end or 0) - (clip.start or 0) for clip in part)),
        }
    rejected = Counter(str(clip.reason or "") for clip in clips if not clip.kept)
    return {
        "videos": len({clip.video_id for clip in clips}),
        "clips_kept": len(kept),
        "clips_rejected": dict(rejected.most_common()),
        "splits": splits,
    }


def strip_of(data: DataFolder, clip: Clip, count: int = 4) -> Strip:
    """Evenly spaced frames of a kept clip, landmarks drawn, read straight from its shard."""
    sample = _first_sample(data, clip)
    if sample is None:
        return Strip(clip, [])
    landmarks = sample.landmarks
    picks = np.linspace(0, len(landmarks) - 1, count).round().astype(int)
    pictures = []
    for index in dict.fromkeys(picks.tolist()):
        coded = np.frombuffer(sample.frame(index), np.uint8)
        frame = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        assert frame is not None, clip.shard
        pictures.append(_data_uri(draw_landmarks(frame, landmarks[index])))
    return Strip(clip, pictures)


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
    clips = read_clips(data.clips)
    counts = summary(clips)
    kept = [clip for clip in clips if clip.kept]
    chosen = sorted(kept, key=lambda clip: stable_hash(known(clip.clip_id)))[:limit]
    chosen.sort(key=lambda clip: (SPLITS.index(known(clip.split)), clip.identity, clip.clip_id))
    strips = []
    progress.start("contact sheet", len(chosen), "clip")
    for clip in chosen:
        strips.append(strip_of(data, clip))
        progress.advance()
    progress.stop()
    template = jinja2.Environment(autoescape=True).from_string(
        (files("fsh.pipeline.dataset") / "contact_sheet.html.j2").read_text()
    )
    page = template.render(
        counts=counts,
        strips=strips,
        shown=len(chosen),
        rejected=[clip for clip in clips if not clip.kept],
        histograms=[_histogram(kept, name, label) for name, label in _HISTOGRAMS.items()],
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page)
    return counts


def _first_sample(data: DataFolder, clip: Clip) -> StoredSample | None:
    """A clip's first sample, read from its part of the shard; None if the shard is gone."""
    path = data.root / known(clip.shard)
    if not path.is_file():
        return None
    with path.open("rb") as file:
        file.seek(known(clip.offset))
        part = file.read(known(clip.bytes))
    return next(samples_in(part, path, closed=False), None)


def _data_uri(picture: np.ndarray) -> str:
    _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return "data:image/jpeg;base64," + base64.b64encode(coded.tobytes()).decode()


def _histogram(clips: Sequence[Clip], name: str, label: str) -> dict[str, object]:
    scores = (getattr(clip, name) for clip in clips)
    values = np.array([score for score in scores if score is not None], np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return {"label": label, "bars": [], "low": "", "high": ""}
    heights, edges = np.histogram(values, bins=24)
    bars = (100 * heights / heights.max()).round().astype(int).tolist()
    return {"label": label, "bars": bars, "low": f"{edges[0]:.3g}", "high": f"{edges[-1]:.3g}"}

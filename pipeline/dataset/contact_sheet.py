"""One HTML page that shows what a data set holds: counts, rejects, and the faces themselves."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from fsh.pipeline.dataset.integrity import decodes
from fsh.pipeline.pages import render_page
from fsh.schemas.card import DatasetCard
from fsh.schemas.errors import FshError
from fsh.schemas.ids import clip_of, stable_hash
from fsh.schemas.layout import SPLITS, DataFolder
from fsh.schemas.progress import Progress
from fsh.schemas.records import Clip, known
from fsh.schemas.sample import StoredSample, frame_extension, samples_in
from fsh.schemas.tables import read_clips
from fsh.schemas.temporary import replacing

#: Side of a picture on the page, pixels.
_THUMB = 128
#: Lines about damage that are said; the page has them all.
_LINES = 10
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


@dataclass
class DamageReport:
    """What could not be read for the page: of all shards their size, of the clips on it the frames.

    Attributes:
        lines: one for each thing that is damaged.
        shards: paths below the data folder; clips, frames: how many.
    """

    lines: list[str] = field(default_factory=list)
    shards: set[str] = field(default_factory=set)
    clips: int = 0
    frames: int = 0

    def add(self, shard: str, line: str) -> None:
        """Something that is damaged, in one line."""
        self.shards |= {shard} - {""}
        self.lines.append(line)

    def to_json(self) -> dict[str, object]:
        return {"shards": sorted(self.shards), "clips": self.clips, "frames": self.frames}


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


def strip_of(data: DataFolder, clip: Clip, damage: DamageReport, count: int = 4) -> Strip:
    """Evenly spaced frames of a kept clip, landmarks drawn, read straight from its shard.

    Args:
        damage: what cannot be read is added here; the strip shows the rest.
    """
    pictures: list[str] = []
    bad: list[int] = []
    try:
        sample = _first_sample(data, clip)
        landmarks, size = sample.landmarks, sample.info.spec.size
        picks = np.linspace(0, len(landmarks) - 1, count).round().astype(int)
        for index in dict.fromkeys(picks.tolist()):
            jpeg = sample.frame(index)
            sound = decodes(jpeg, size)
            frame = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if sound else None
            if frame is None:
                bad.append(index)
                continue
            pictures.append(_data_uri(mark_landmarks(frame, landmarks[index])))
        if bad:
            damage.frames += len(bad)
            more = f", nor can {len(bad) - 1} of the others shown" if len(bad) > 1 else ""
            error = sample.damaged(frame_extension(bad[0]), f"cannot be decoded{more}")
            damage.add(known(clip.shard), str(error))
    except FshError as error:
        damage.clips += 1
        damage.add(clip.shard or "", str(error))
    return Strip(clip, pictures)


def mark_landmarks(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A copy of a frame, scaled to the thumbnail size, with a dot on each landmark."""
    scale = _THUMB / frame.shape[0]
    small = cv2.resize(frame, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA)
    for x, y in (points + 0.5) * scale - 0.5:
        if max(abs(x), abs(y)) < 10 * _THUMB:  # neither NaN nor nonsense
            cv2.circle(small, (round(float(x)), round(float(y))), 1, (80, 255, 80), -1, cv2.LINE_AA)
    return small


def make_page(data: DataFolder, target: Path, progress: Progress, *, limit: int = 200) -> dict:
    """Write the page. What cannot be read is said, in lines and on the page, which shows the rest.

    Args:
        limit: how many kept clips are shown at most; a fixed pseudo-random choice of them.

    Returns:
        The counts that stand on it (see :func:`summary`), and what is ``damaged``.

    Raises:
        FshError: if nothing has been sharded yet.
    """
    clips = read_clips(data.clips)
    counts = summary(clips)
    kept = [clip for clip in clips if clip.kept]
    chosen = sorted(kept, key=lambda clip: stable_hash(known(clip.clip_id)))[:limit]
    chosen.sort(key=lambda clip: (SPLITS.index(known(clip.split)), clip.identity, clip.clip_id))
    damage = DamageReport()
    check_sizes(data, damage)
    strips = []
    progress.start("contact sheet", len(chosen), "clip")
    for clip in chosen:
        strips.append(strip_of(data, clip, damage))
        progress.advance()
    progress.stop()
    for line in damage.lines[:_LINES]:
        progress.say(line)
    if len(damage.lines) > _LINES:
        progress.say(f"and {len(damage.lines) - _LINES} more; `fsh shard --check` names them all")
    page = render_page(
        "fsh.pipeline.dataset",
        "contact_sheet.html.j2",
        counts=counts,
        damage=damage,
        strips=strips,
        shown=len(chosen),
        rejected=[clip for clip in clips if not clip.kept],
        histograms=[_histogram(kept, name, label) for name, label in _HISTOGRAMS.items()],
    )
    with replacing(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return {**counts, "damaged": damage.to_json()}


def check_sizes(data: DataFolder, damage: DamageReport) -> None:
    """Add the shards that are missing or of another size than the card says, or a damaged card."""
    if not data.card.exists():
        return
    try:
        card = DatasetCard.read(data.card)
    except FshError as error:
        damage.lines.append(str(error))
        return
    for shard in card.shards:
        if fault := shard.fault(data.root):
            damage.add(shard.path, str(fault))


def _first_sample(data: DataFolder, clip: Clip) -> StoredSample:
    """A clip's first sample, read from its part of the shard.

    Raises:
        FshError: if the shard is gone or damaged there.
    """
    if not clip.shard or clip.offset is None or not clip.bytes:
        where = f"clip {clip.clip_id}"
        raise FshError("is in no shard", where=where, remedy="run `fsh shard` again")
    path = data.root / clip.shard
    try:
        with path.open("rb") as file:
            file.seek(clip.offset)
            part = file.read(clip.bytes)
    except OSError as error:
        what = f"clip {clip.clip_id} cannot be read ({error.strerror})"
        raise FshError(what, where=path, remedy="run `fsh shard` again") from error
    for sample in samples_in(part, path, closed=False):
        if clip_of(sample.key) == clip.clip_id:
            return sample
        break
    what = f"clip {clip.clip_id} is not where the table says"
    raise FshError(what, where=path, remedy="run `fsh shard` again")


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

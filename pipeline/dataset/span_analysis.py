"""One span of one video: find its clips, crop them, landmark them, score them, store them.

Two decodes. The first, at low resolution, sees every frame for cuts and looks for faces in a few
of them; the second, at full resolution, is in :mod:`fsh.pipeline.dataset.cropping`. Everything
here runs inside a sandbox.
"""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fsh.pipeline.dataset.config import Analysis
from fsh.pipeline.dataset.cropping import Cropped, crop_tracks
from fsh.pipeline.dataset.span_progress import Pulse
from fsh.pipeline.dataset.spans import Span
from fsh.pipeline.faces.backends import load_backend
from fsh.pipeline.faces.crop import box_to_crop
from fsh.pipeline.faces.detection import FaceDetector
from fsh.pipeline.faces.embedding import embed_faces
from fsh.pipeline.faces.landmarks import LandmarkBackend
from fsh.pipeline.faces.scores import score_track
from fsh.pipeline.faces.search import FaceSearch
from fsh.pipeline.faces.tracking import Track, link_detections, split_track
from fsh.pipeline.media.decode import proxy_size, read_proxy, read_sound
from fsh.pipeline.media.probe import MediaFacts, probe
from fsh.pipeline.media.shots import ShotDetector
from fsh.schemas.errors import FshError
from fsh.schemas.ids import clip_id, sample_key
from fsh.schemas.layout import DataFolder, replacing
from fsh.schemas.sample import MAX_FRAMES, SampleInfo, sample_members
from fsh.schemas.tables import CLIPS, to_table, write_table
from fsh.schemas.tar import write_members

#: Shares of a clip at which its face is embedded: far enough apart to tell a change of person.
#: Four tell people apart no better than two (tests/benchmarks/identity.py).
_EMBED_AT = (0.2, 0.8)
#: Share of the work that the first decode is, roughly.
_FIRST = 0.4


def process(root: Path, span: Span, analysis: Analysis) -> int:
    """Analyse a span and store its clips and scores; returns the number of clips cropped.

    Raises:
        FshError: if the video cannot be decoded.
    """
    data = DataFolder(root)
    folder = span.folder(data, analysis)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = data.root / span.path
    facts = probe(path)
    pulse = Pulse(folder)
    times, tracks = find_tracks(path, facts, span, analysis, pulse)
    worth = [t for t in tracks if not why_not_cropped(t, times, analysis)]
    rows = [
        track_row(span, facts, t, times, analysis) | {"kept": False, "reason": reason}
        for t in tracks
        if (reason := why_not_cropped(t, times, analysis))
    ]
    for number, cropped in enumerate(crop_tracks(path, facts, times, worth, analysis)):
        pulse.at(_FIRST + (1 - _FIRST) * number / len(worth))
        row = track_row(span, facts, cropped.track, times, analysis)
        rows.append(row | store(folder, path, row, cropped, analysis))
    if not tracks:
        rows = [span_row(span, facts) | {"reason": "no_face"}]
    rows.sort(key=lambda row: row.get("clip_id", ""))
    pulse.end()
    write_table(to_table(rows, CLIPS), span.table(data, analysis), CLIPS)
    return len(worth)


def find_tracks(
    path: Path, facts: MediaFacts, span: Span, analysis: Analysis, pulse: Pulse
) -> tuple[np.ndarray, list[Track]]:
    """The first decode: seconds of every frame of the span, and the tracks in it."""
    size = proxy_size(facts.width, facts.height, analysis.proxy)
    scale = np.array([facts.width / size[0], facts.height / size[1]] * 2, np.float32)
    shot_detector = ShotDetector(analysis.cut_ratio, analysis.cut_change)
    times: list[float] = []
    search = FaceSearch(
        _detector(),
        _backend("dlib"),
        scale,
        look_every=analysis.look_every,
        search_every=analysis.search_every,
    )
    for time, pixels in read_proxy(path, size, span.start, span.end):
        search.add_frame(pixels[: size[1]], len(times), time)
        shot_detector.add_frame(time, pixels)
        times.append(time)
        pulse.at(_FIRST * (time - span.start) / span.seconds)
    if not times:
        raise FshError("no frame could be decoded", where=path)
    shots, clock = shot_detector.shots(), np.array(times)
    tracks = [
        track
        for number, (shot, seen) in enumerate(
            link_detections(search.searched(), shots, lost=analysis.lost)
        )
        for track in split_track(
            number,
            shot,
            seen,
            clock,
            analysis.spec,
            longest=analysis.longest,
            look_every=analysis.look_every,
        )
    ]
    return clock, tracks


def why_not_cropped(track: Track, times: np.ndarray, analysis: Analysis) -> str:
    """Why a track is not worth cropping; empty if it is."""
    if times[track.frames[-1]] - times[track.frames[0]] < analysis.shortest:
        return "brief_track"
    return "tiny_face" if track.face_side < analysis.smallest_face else ""


def span_row(span: Span, facts: MediaFacts) -> dict[str, Any]:
    return {
        "video_id": span.video_id,
        "start": span.start,
        "end": span.end,
        "width": facts.width,
        "height": facts.height,
        "kept": False,
    }


def track_row(
    span: Span, facts: MediaFacts, track: Track, times: np.ndarray, analysis: Analysis
) -> dict[str, Any]:
    """What is known of a track before it is cropped, as columns of the clips table."""
    start, end = float(times[track.frames[0]]), float(times[track.frames[-1]])
    return span_row(span, facts) | {
        "clip_id": clip_id(span.video_id, start, track.number),
        "shot": track.shot,
        "track": track.number,
        "start": start,
        "end": end,
        "crop_left": track.window[0],
        "crop_top": track.window[1],
        "crop_side": track.window[2],
        "face_px": track.face_side,
        "drift": track.drift(analysis.spec),
        "detected": track.detected,
        "score": track.score,
        "spec": analysis.spec.hash,
    }


def store(
    folder: Path, path: Path, row: dict[str, Any], clip: Cropped, analysis: Analysis
) -> dict[str, Any]:
    """Landmark, score and write one clip; returns the columns that this gives."""
    spec, track = analysis.spec, clip.track
    boxes = box_to_crop(clip.boxes, track.window, spec.size)
    points = _backend(spec.backend).landmarks(clip.crops, boxes)
    found = np.isfinite(points).all(axis=(1, 2))
    fps = nominal_fps(clip.times)
    if not found.all():
        clip, points = clip[found], points[found]
    failed = {"frames": len(clip.times), "frames_failed": int((~found).sum())}
    if not len(clip.times):
        return failed | {"kept": False, "reason": "no_landmarks", "samples": 0}
    chosen = sorted({round(share * (len(points) - 1)) for share in _EMBED_AT})
    embeddings = embed_faces(clip.crops[chosen], points[chosen])
    every = max(1, round(fps * analysis.look_every))
    scores = score_track(clip.crops[::every], points[::every], embeddings)
    runs = even_runs(len(points), MAX_FRAMES)
    with replacing(folder / f"{row['clip_id']}.tar") as temporary, temporary.open("wb") as file:
        for number, run in enumerate(runs):
            part = clip[run]
            info = SampleInfo(
                clip_id=row["clip_id"],
                video_id=row["video_id"],
                identity="",  # known only when all videos are: the shard writer fills it in
                fps=fps,
                times=part.times.tolist(),
                boxes=part.boxes.round(2).astype(float).tolist(),
                crop=[float(v) for v in track.window],
                spec=spec,
            )
            jpegs = [jpeg(crop, analysis.jpeg_quality) for crop in part.crops]
            sound = b""
            if analysis.audio:
                sound = read_sound(path, part.times[0], part.times[-1] + 1 / fps)
            key = sample_key(row["clip_id"], number)
            write_members(file, sample_members(key, info, points[run], jpegs, sound), end=False)
    return (
        failed
        | scores
        | {
            "start": float(clip.times[0]),
            "end": float(clip.times[-1]),
            "fps": fps,
            "samples": len(runs),
            "embedding": embeddings.mean(axis=0),
        }
    )


def even_runs(count: int, most: int) -> list[slice]:
    """0 … count in as few runs of at most ``most`` as can be, all of nearly the same length."""
    parts = -(-count // most)
    return [slice(i * count // parts, (i + 1) * count // parts) for i in range(parts)]


def nominal_fps(times: np.ndarray) -> float:
    """Frames per second on average; 25 for a single frame."""
    return round(float((len(times) - 1) / (times[-1] - times[0])), 3) if len(times) > 1 else 25.0


def jpeg(crop: np.ndarray, quality: int) -> bytes:
    """A uint8 (S, S, 3) RGB crop as JPEG; the same pixels always give the same bytes."""
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    assert done
    return data.tobytes()


@lru_cache(maxsize=1)
def _detector() -> FaceDetector:
    cv2.setNumThreads(1)  # the runner decides how many workers share the cores
    return FaceDetector()


@lru_cache(maxsize=2)
def _backend(name: str) -> LandmarkBackend:
    return load_backend(name)

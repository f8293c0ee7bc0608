"""One span of one video: find its clips, crop them, landmark them, score them, store them.

Two decodes. The first, at low resolution, sees every frame for cuts and detects faces in a few
of them; the second, at full resolution, is in :mod:`fsh.pipeline.dataset.cropping`. Everything
here runs inside a sandbox.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from fsh.pipeline.dataset.clip_storage import (
    ClipFrames,
    loaded_backend,
    sound_of_span,
    store_clip,
)
from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.cropping import crop_tracks
from fsh.pipeline.dataset.relandmarking import relandmark_span
from fsh.pipeline.dataset.span_progress import SpanProgress
from fsh.pipeline.dataset.spans import Span
from fsh.pipeline.dataset.upgrading import upgrade_span
from fsh.pipeline.faces.detection import FaceDetector
from fsh.pipeline.faces.search import FaceSearch
from fsh.pipeline.faces.tracking import Track, link_detections, split_track
from fsh.pipeline.media.decode import proxy_size, read_proxy
from fsh.pipeline.media.probe import MediaFacts, probe
from fsh.pipeline.media.shots import ShotDetector
from fsh.schemas.errors import FshError
from fsh.schemas.ids import clip_id
from fsh.schemas.layout import DataFolder
from fsh.schemas.records import Clip, RejectReason
from fsh.schemas.tables import write_clips

#: Share of the work that the first decode is, roughly.
_FIRST_DECODE = 0.4


def analyze_span(data: DataFolder, span: Span, analysis: AnalysisConfig) -> int:
    """Analyse a span and store its clips and scores; returns the number of clips cropped.

    Where an older version did so, or only the landmark backend is another than before, no picture
    is decoded again (:mod:`~fsh.pipeline.dataset.upgrading`,
    :mod:`~fsh.pipeline.dataset.relandmarking`).

    Raises:
        FshError: if the video cannot be decoded.
    """
    for without_video in (upgrade_span, relandmark_span):
        if (count := without_video(data, span, analysis)) is not None:
            return count
    folder = span.folder(data, analysis)
    shutil.rmtree(folder.root, ignore_errors=True)
    folder.root.mkdir(parents=True)
    path = data.root / span.path
    facts = probe(path)
    progress = SpanProgress(folder.progress)
    times, tracks = find_tracks(path, facts, span, analysis, progress)
    clips, to_crop = [], []
    for track in tracks:
        if reason := why_not_cropped(track, times, analysis):
            clips.append(replace(clip_of_track(span, facts, track, times, analysis), reason=reason))
        else:
            to_crop.append(track)
    sound = sound_of_span(data, span)
    for number, cropped in enumerate(crop_tracks(path, facts, times, to_crop, analysis)):
        progress.update(_FIRST_DECODE + (1 - _FIRST_DECODE) * number / len(to_crop))
        clip = clip_of_track(span, facts, cropped.track, times, analysis)
        frames = ClipFrames.of_track(cropped, analysis)
        clips.append(store_clip(folder, sound, clip, frames, analysis))
    if not tracks:
        clips.append(clip_without_face(span, facts))
    progress.end()
    write_clips(sorted(clips, key=lambda clip: clip.clip_id or ""), folder.clips)
    return len(to_crop)


def find_tracks(
    path: Path, facts: MediaFacts, span: Span, analysis: AnalysisConfig, progress: SpanProgress
) -> tuple[np.ndarray, list[Track]]:
    """The first decode: seconds of every frame of the span, and the tracks in it."""
    size = proxy_size(facts.width, facts.height, analysis.proxy)
    scale = np.array([facts.width / size[0], facts.height / size[1]] * 2, np.float32)
    shot_detector = ShotDetector(analysis.cut_ratio, analysis.cut_change)
    times: list[float] = []
    search = FaceSearch(
        _detector(),
        loaded_backend("dlib"),
        scale,
        look_every=analysis.look_every,
        search_every=analysis.search_every,
    )
    for time, pixels in read_proxy(path, size, span.start, span.end):
        search.add_frame(pixels[: size[1]], len(times), time)
        shot_detector.add_frame(time, pixels)
        times.append(time)
        progress.update(_FIRST_DECODE * (time - span.start) / span.seconds)
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


def why_not_cropped(
    track: Track, times: np.ndarray, analysis: AnalysisConfig
) -> RejectReason | None:
    """Why a track is not worth cropping; None if it is."""
    if times[track.frames[-1]] - times[track.frames[0]] < analysis.shortest:
        return RejectReason.BRIEF_TRACK
    return RejectReason.TINY_FACE if track.face_side < analysis.smallest_face else None


def clip_without_face(span: Span, facts: MediaFacts) -> Clip:
    """The row that stands for a span without any track."""
    return Clip(
        video_id=span.video_id,
        start=span.start,
        end=span.end,
        width=facts.width,
        height=facts.height,
        reason=RejectReason.NO_FACE,
    )


def clip_of_track(
    span: Span, facts: MediaFacts, track: Track, times: np.ndarray, analysis: AnalysisConfig
) -> Clip:
    """What is known of a track before it is cropped."""
    start, end = float(times[track.frames[0]]), float(times[track.frames[-1]])
    return Clip(
        clip_id=clip_id(span.video_id, start, track.number),
        video_id=span.video_id,
        shot=track.shot,
        track=track.number,
        start=start,
        end=end,
        width=facts.width,
        height=facts.height,
        crop_left=track.window[0],
        crop_top=track.window[1],
        crop_side=track.window[2],
        face_px=track.face_side,
        drift=track.drift(analysis.spec),
        detected=track.detected,
        score=track.score,
        spec=analysis.spec.hash,
    )


@lru_cache(maxsize=1)
def _detector() -> FaceDetector:
    cv2.setNumThreads(1)  # the runner decides how many workers share the cores
    return FaceDetector()

"""One span of one video: find its clips, crop them, landmark them, score them, store them.

Two decodes. The first, at low resolution, sees every frame for cuts and detects faces in a few
of them; the second, at full resolution, is in :mod:`fsh.pipeline.dataset.spans.cropping`.
Everything here runs inside a sandbox.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from fsh.pipeline.dataset.accounting import (
    SpanFrames,
    place_of_row,
    rest_of,
    row_without_clip,
)
from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans.clip_storage import (
    ClipFrames,
    loaded_backend,
    sound_of_span,
    store_clip,
)
from fsh.pipeline.dataset.spans.cropping import crop_tracks
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.dataset.spans.progress import SpanProgress
from fsh.pipeline.dataset.spans.relandmarking import relandmark_span
from fsh.pipeline.dataset.spans.stages import stage, staged
from fsh.pipeline.dataset.spans.store import span_results
from fsh.pipeline.dataset.spans.upgrading import upgrade_span
from fsh.pipeline.faces.detection import FaceDetector
from fsh.pipeline.faces.search import FaceSearch
from fsh.pipeline.faces.tracking import SearchedFrame, Track, link_detections, split_track
from fsh.pipeline.media.decode import proxy_size, read_proxy
from fsh.pipeline.media.probe import MediaFacts, probe
from fsh.pipeline.media.shots import Shot, ShotDetector
from fsh.schemas.errors import FshError
from fsh.schemas.ids import clip_id
from fsh.schemas.places.layout import DataFolder, SpanFolder
from fsh.schemas.tables.parquet import write_clips
from fsh.schemas.tables.records import Clip, RejectReason

#: Share of the work that the first decode is, roughly.
_FIRST_DECODE = 0.4


def analyze_span(data: DataFolder, span: Span, analysis: AnalysisConfig) -> int:
    """Analyse a span and store its clips and scores; returns the number of clips cropped.

    Where an older version did so, or only the landmark backend is another than before, no picture
    is decoded again (:mod:`~fsh.pipeline.dataset.spans.upgrading`,
    :mod:`~fsh.pipeline.dataset.spans.relandmarking`).

    Raises:
        FshError: if the video cannot be decoded.
    """
    for without_video in (upgrade_span, relandmark_span):
        if (count := without_video(data, span, analysis)) is not None:
            return count
    progress = SpanProgress(span.folder(data, analysis).progress)
    with span_results(data, span, analysis) as folder:
        count = _analyze(data, folder, span, analysis, progress)
    progress.end()
    return count


def _analyze(
    data: DataFolder,
    folder: SpanFolder,
    span: Span,
    analysis: AnalysisConfig,
    progress: SpanProgress,
) -> int:
    path = data.root / span.path
    with stage("decode"):
        facts = probe(path, measure=span.open_end)
    times, tracks, shots, searched = find_tracks(path, facts, span, analysis, progress)
    footage = SpanFrames.of_frames(times, span, facts.duration)
    clips, to_crop = [], []
    for track in tracks:
        if reason := why_not_cropped(track, times, analysis):
            clip = clip_of_track(span, facts, track, footage, times, analysis)
            clips.append(replace(clip, reason=reason))
        else:
            to_crop.append(track)
    sound = sound_of_span(data, span)
    for number, cropped in enumerate(crop_tracks(path, facts, times, to_crop, analysis)):
        progress.update(_FIRST_DECODE + (1 - _FIRST_DECODE) * number / len(to_crop))
        clip = clip_of_track(span, facts, cropped.track, footage, times, analysis)
        frames = ClipFrames.of_track(cropped, analysis)
        clips.append(store_clip(folder, sound, clip, frames, analysis))
    size = facts.width, facts.height
    for reason, start, end in rest_of(footage, [t.frames for t in tracks], shots, searched):
        clips.append(row_without_clip(span, size, reason, start, end))
    with stage("write"):
        write_clips(sorted(clips, key=place_of_row), folder.clips)
    return len(to_crop)


def find_tracks(
    path: Path, facts: MediaFacts, span: Span, analysis: AnalysisConfig, progress: SpanProgress
) -> tuple[np.ndarray, list[Track], list[Shot], list[int]]:
    """The first decode of a span.

    Returns:
        Seconds of every frame, the tracks and the shots, and the frames that were searched.
    """
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
    end = None if span.open_end else span.end
    for time, pixels in staged("decode", read_proxy(path, size, span.start, end)):
        with stage("detect"):
            search.add_frame(pixels[: size[1]], len(times), time)
        with stage("cuts"):
            shot_detector.add_frame(time, pixels)
        times.append(time)
        progress.update(_FIRST_DECODE * (time - span.start) / max(span.seconds, 1e-3))
    if not times and span.start < probe(path).pictures_end:
        raise FshError("no frame could be decoded", where=path)
    with stage("cuts"):
        shots = shot_detector.shots()
    clock, searched = np.array(times), search.searched()
    with stage("track"):
        tracks = _tracks(searched, shots, clock, analysis)
    return clock, tracks, shots, [frame for frame, _ in searched]


def _tracks(
    searched: list[SearchedFrame], shots: list[Shot], clock: np.ndarray, analysis: AnalysisConfig
) -> list[Track]:
    return [
        track
        for number, (shot, seen) in enumerate(link_detections(searched, shots, lost=analysis.lost))
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


def why_not_cropped(
    track: Track, times: np.ndarray, analysis: AnalysisConfig
) -> RejectReason | None:
    """Why a track is not worth cropping; None if it is."""
    if times[track.frames[-1]] - times[track.frames[0]] < analysis.shortest:
        return RejectReason.BRIEF_TRACK
    return RejectReason.TINY_FACE if track.face_side < analysis.smallest_face else None


def clip_of_track(
    span: Span,
    facts: MediaFacts,
    track: Track,
    footage: SpanFrames,
    times: np.ndarray,
    analysis: AnalysisConfig,
) -> Clip:
    """What is known of a track before it is cropped."""
    cover = footage.covered(track.frames)
    start, end = float(times[track.frames[0]]), float(times[track.frames[-1]])
    return Clip(
        clip_id=clip_id(span.video_id, start, track.number),
        video_id=span.video_id,
        shot=track.shot,
        track=track.number,
        start=start,
        end=end,
        cover_start=cover[0],
        cover_end=cover[1],
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
    with stage("start"):
        return FaceDetector()

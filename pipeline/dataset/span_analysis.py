"""One span of one video: find its clips, crop them, landmark them, score them, store them.

Two decodes. The first, at low resolution, sees every frame for cuts and detects faces in a few
of them; the second, at full resolution, is in :mod:`fsh.pipeline.dataset.cropping`. Everything
here runs inside a sandbox.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.cropping import CroppedTrack, crop_tracks
from fsh.pipeline.dataset.span_progress import SpanProgress
from fsh.pipeline.dataset.spans import Span
from fsh.pipeline.faces.backends import load_backend
from fsh.pipeline.faces.crop import box_to_crop, real_window
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
from fsh.schemas.face_landmarks import FaceLandmarks
from fsh.schemas.ids import clip_id, sample_key
from fsh.schemas.layout import DataFolder, SpanFolder
from fsh.schemas.records import Clip, RejectReason, known
from fsh.schemas.sample import MAX_FRAMES, sample_members
from fsh.schemas.sample_info import SampleInfo
from fsh.schemas.tables import write_clips
from fsh.schemas.tar import write_members
from fsh.schemas.temporary import replacing

#: Shares of a clip at which its face is embedded: far enough apart to tell a change of person.
#: Four tell people apart no better than two (tests/benchmarks/identity.py).
_EMBED_AT = (0.2, 0.8)
#: Share of the work that the first decode is, roughly.
_FIRST_DECODE = 0.4


def analyze_span(data: DataFolder, span: Span, analysis: AnalysisConfig) -> int:
    """Analyse a span and store its clips and scores; returns the number of clips cropped.

    Raises:
        FshError: if the video cannot be decoded.
    """
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
    for number, cropped in enumerate(crop_tracks(path, facts, times, to_crop, analysis)):
        progress.update(_FIRST_DECODE + (1 - _FIRST_DECODE) * number / len(to_crop))
        clip = clip_of_track(span, facts, cropped.track, times, analysis)
        clips.append(store_clip(folder, path, clip, cropped, analysis))
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
        _backend("dlib"),
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


def store_clip(
    folder: SpanFolder, path: Path, clip: Clip, cropped: CroppedTrack, analysis: AnalysisConfig
) -> Clip:
    """Landmark and score a cropped track and write its samples; returns the clip with all that.

    Frames without landmarks are dropped. If none is left, nothing is written, and the clip is
    rejected.

    Args:
        folder: of the span; the samples go into its ``clip(clip_id)``.
        path: of the video, for its sound.
    """
    spec = analysis.spec
    boxes = box_to_crop(cropped.boxes, cropped.track.window, spec.size)
    faces = _backend(spec.backend).landmarks(cropped.crops, boxes, consecutive=True)
    found = faces.found
    fps = nominal_fps(cropped.times)
    if not found.all():
        cropped, faces = cropped[found], faces[found]
    points = faces.points
    clip = replace(clip, frames=len(points), frames_failed=int((~found).sum()))
    if not len(points):
        return replace(clip, samples=0, reason=RejectReason.NO_LANDMARKS)
    at = sorted({round(share * (len(points) - 1)) for share in _EMBED_AT})
    embeddings = embed_faces(cropped.crops[at], points[at])
    every = max(1, round(fps * analysis.look_every))
    scores: dict[str, Any] = score_track(cropped.crops[::every], points[::every], embeddings)
    clip = replace(
        clip,
        start=float(cropped.times[0]),
        end=float(cropped.times[-1]),
        fps=fps,
        embedding=embeddings.mean(axis=0),
        **scores,
    )
    runs = even_runs(len(points), MAX_FRAMES)
    with replacing(folder.clip(known(clip.clip_id))) as temporary, temporary.open("wb") as file:
        for members in samples_of(clip, cropped, faces, runs, path, analysis):
            write_members(file, members, end=False)
    return replace(clip, samples=len(runs))


def samples_of(
    clip: Clip,
    cropped: CroppedTrack,
    faces: FaceLandmarks,
    runs: Sequence[slice],
    path: Path,
    analysis: AnalysisConfig,
) -> Iterator[list[tuple[str, bytes]]]:
    """The members of each of a clip's samples.

    Args:
        faces: the landmarks of the cropped frames, n faces in crop pixels.
        runs: the frames of each sample.
        path: of the video, for its sound.
    """
    name, fps = known(clip.clip_id), known(clip.fps)
    source = known(clip.width), known(clip.height)
    real = real_window(cropped.track.window, source, analysis.spec.size)
    for number, run in enumerate(runs):
        part = cropped[run]
        info = SampleInfo(
            clip_id=name,
            video_id=clip.video_id,
            identity="",  # known only when all videos are: the shard writer fills it in
            fps=fps,
            times=part.times.tolist(),
            boxes=part.boxes.round(2).astype(float).tolist(),
            crop=[float(v) for v in part.track.window],
            spec=analysis.spec,
            real=real.round(3).astype(float).tolist(),
        )
        jpegs = [jpeg(crop, analysis.jpeg_quality) for crop in part.crops]
        sound = b""
        if analysis.audio:
            sound = read_sound(path, part.times[0], part.times[-1] + 1 / fps)
        some = faces[run]
        key = sample_key(name, number)
        yield sample_members(key, info, some.points, jpegs, sound, some.mesh)


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

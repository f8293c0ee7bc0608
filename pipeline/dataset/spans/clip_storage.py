"""One clip: its cropped frames landmarked and scored, and written as samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg

from fsh.pipeline.dataset.config import LANDMARKED_AS_STORED, AnalysisConfig
from fsh.pipeline.dataset.spans.cropping import CroppedTrack
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.dataset.spans.later_scores import SOUND_MARGIN, with_later_scores
from fsh.pipeline.dataset.spans.stages import stage
from fsh.pipeline.faces.backends import load_backend
from fsh.pipeline.faces.crop import CropWindow, box_to_crop, real_window
from fsh.pipeline.faces.embedding import embed_faces
from fsh.pipeline.faces.landmarks import LandmarkBackend
from fsh.pipeline.faces.scores import score_track
from fsh.pipeline.media.clip_sound import read_sound, silence
from fsh.pipeline.media.voice import SpanSound
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.ids import sample_key
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.span_layout import SpanFolder
from fsh.schemas.places.temporary import replacing
from fsh.schemas.shards.sample import MAX_FRAMES, sample_members
from fsh.schemas.shards.sample_info import SampleInfo
from fsh.schemas.shards.tar import write_members
from fsh.schemas.tables.records import Clip, RejectReason, known

#: Shares of a clip at which its face is embedded: far enough apart to tell a change of person.
#: Four tell people apart no better than two (tests/benchmarks/identity.py).
_EMBED_AT = (0.2, 0.8)


@dataclass(frozen=True)
class ClipFrames:
    """A clip's frames, before it is known which of them show a face.

    Attributes:
        jpegs: n frames as they are stored.
        pictures: uint8 (n, S, S, 3) RGB, in which landmarks are found; S is 0 where they are known.
        boxes: float32 (n, 4), face boxes in source pixels.
        times: float64 (n,), seconds on the video's clock.
        window: the crop window of all of them.
    """

    jpegs: list[bytes]
    pictures: np.ndarray
    boxes: np.ndarray
    times: np.ndarray
    window: CropWindow

    @classmethod
    def of_track(cls, cropped: CroppedTrack, analysis: AnalysisConfig) -> ClipFrames:
        """The frames of a track that was just cropped.

        With the backends of :data:`~fsh.pipeline.dataset.config.LANDMARKED_AS_STORED` they are
        exactly what :meth:`of_stored` makes of what is stored.
        """
        with stage("encode"):
            jpegs = [jpeg(crop, analysis.jpeg_quality) for crop in cropped.crops]
        window = cropped.track.window
        if analysis.spec.backend in LANDMARKED_AS_STORED:
            boxes = cropped.boxes.round(2)
            return cls.of_stored(jpegs, boxes, cropped.times, window)
        return cls(jpegs, cropped.crops, cropped.boxes, cropped.times, window)

    @classmethod
    def of_stored(
        cls,
        jpegs: list[bytes],
        boxes: np.ndarray,
        times: np.ndarray,
        window: CropWindow,
        *,
        decode: bool = True,
    ) -> ClipFrames:
        """Frames that are stored already.

        Args:
            decode: whether pictures are wanted.

        Raises:
            ValueError: if one cannot be decoded, or they differ in size.
        """
        pictures = np.empty((len(jpegs), 0, 0, 3), np.uint8)
        if decode:
            with stage("encode"):
                pictures = np.stack([simplejpeg.decode_jpeg(data, "RGB") for data in jpegs])
        return cls(jpegs, pictures, boxes, times, window)

    def __getitem__(self, rows: slice | np.ndarray) -> ClipFrames:
        """Some of the frames."""
        numbers = np.arange(len(self.jpegs))[rows]
        return ClipFrames(
            [self.jpegs[i] for i in numbers],
            self.pictures[rows],
            self.boxes[rows],
            self.times[rows],
            self.window,
        )


def sound_of_span(data: DataFolder, span: Span) -> SpanSound:
    """The sound that the clips of a span are scored by."""
    path = data.root / span.path
    return SpanSound(path, span.start - SOUND_MARGIN, span.end + SOUND_MARGIN)


def store_clip(
    folder: SpanFolder, sound: SpanSound, clip: Clip, frames: ClipFrames, analysis: AnalysisConfig
) -> Clip:
    """Landmark and score a clip's frames and write its samples; returns the clip with all that.

    Frames without landmarks are dropped. If none is left, nothing is written, and the clip is
    rejected.

    Args:
        folder: of the span; the samples go into its ``clip(clip_id)``.
        sound: of the span.
    """
    spec = analysis.spec
    boxes = box_to_crop(frames.boxes, frames.window, spec.size)
    backend = loaded_backend(spec.backend)
    with stage("landmarks"):
        faces = backend.landmarks(frames.pictures, boxes, consecutive=True)
    found = faces.found
    fps = nominal_fps(frames.times)
    if not found.all():
        frames, faces = frames[found], faces[found]
    points = faces.points
    clip = replace(clip, frames=len(points), frames_failed=int((~found).sum()))
    if not len(points):
        return replace(clip, samples=0, reason=RejectReason.NO_LANDMARKS)
    at = sorted({round(share * (len(points) - 1)) for share in _EMBED_AT})
    some = slice(None, None, max(1, round(fps * analysis.look_every)))
    with stage("scores"):
        embeddings = embed_faces(frames.pictures[at], points[at])
        scores: dict[str, Any] = score_track(frames.pictures[some], faces[some], embeddings)
    clip = replace(
        clip,
        start=float(frames.times[0]),
        end=float(frames.times[-1]),
        fps=fps,
        embedding=embeddings.mean(axis=0),
        **scores,
    )
    return write_clip(folder, sound, clip, frames, faces, analysis)


def write_clip(
    folder: SpanFolder,
    sound: SpanSound,
    clip: Clip,
    frames: ClipFrames,
    faces: FaceLandmarks,
    analysis: AnalysisConfig,
) -> Clip:
    """Write the samples of a landmarked clip; returns it with its later scores.

    Args:
        frames: their ``pictures`` are not looked at.
        faces: the landmarks of the frames, n > 0 faces in crop pixels.
    """
    with stage("sound"):
        sound.load()
    with stage("scores"):
        clip = with_later_scores(
            clip,
            frames.jpegs,
            frames.boxes,
            faces.points,
            frames.times,
            frames.window,
            sound=sound,
            size=analysis.spec.size,
            text=analysis.text,
        )
    runs = even_runs(len(faces.points), MAX_FRAMES)
    path = folder.clip(known(clip.clip_id))
    with stage("write"), replacing(path) as temporary, temporary.open("wb") as file:
        for members in samples_of(clip, frames, faces, runs, sound.path, analysis):
            write_members(file, members, end=False)
    return replace(clip, samples=len(runs))


def samples_of(
    clip: Clip,
    frames: ClipFrames,
    faces: FaceLandmarks,
    runs: Sequence[slice],
    path: Path,
    analysis: AnalysisConfig,
) -> Iterator[list[tuple[str, bytes]]]:
    """The members of each of a clip's samples.

    Args:
        faces: the landmarks of the frames, n faces in crop pixels.
        runs: the frames of each sample.
        path: of the video, for its sound.
    """
    name, fps = known(clip.clip_id), known(clip.fps)
    source = known(clip.width), known(clip.height)
    real = real_window(frames.window, source, analysis.spec.size)
    for number, run in enumerate(runs):
        part, some = frames[run], faces[run]
        info = SampleInfo(
            clip_id=name,
            video_id=clip.video_id,
            identity="",  # known only when all videos are: the shard writer fills it in
            fps=fps,
            times=part.times.tolist(),
            boxes=part.boxes.round(2).astype(float).tolist(),
            crop=[float(v) for v in part.window],
            spec=analysis.spec,
            real=real.round(3).astype(float).tolist(),
        )
        sound = b""
        if analysis.audio:
            begin, end = part.times[0], part.times[-1] + 1 / fps
            with stage("sound"):
                sound = read_sound(path, begin, end)
            if not sound:  # every sample has the same members
                sound, info = silence(end - begin), replace(info, silent=True)
        key = sample_key(name, number)
        yield sample_members(key, info, some.points, part.jpegs, sound, some.mesh)


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


@lru_cache(maxsize=2)
def loaded_backend(name: str) -> LandmarkBackend:
    """A landmark backend, loaded once per process."""
    with stage("start"):
        return load_backend(name)

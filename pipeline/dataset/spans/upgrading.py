"""A span that an older version analysed, or one with other later scores: brought up to date.

Landmarks and earlier scores are taken over, samples are written in today's layout, and the later
scores are made (:mod:`fsh.pipeline.dataset.spans.later_scores`). No picture of the video is
decoded. What comes out is byte for byte what an analysis gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fsh.pipeline.dataset.accounting import accounted
from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans.clip_storage import ClipFrames, sound_of_span, write_clip
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.dataset.spans.stages import stage
from fsh.pipeline.dataset.spans.store import span_results
from fsh.pipeline.faces.crop import CropWindow
from fsh.schemas.errors import FshError
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.span_layout import SpanFolder
from fsh.schemas.shards.sample import samples_in
from fsh.schemas.shards.tar import open_archive
from fsh.schemas.tables.parquet import read_clips, write_clips
from fsh.schemas.tables.records import FAILURES, Clip, known

#: The oldest version whose landmarks and scores are those of today.
_OLDEST = 4
#: Up to this version the last span of a video ended so many seconds after the video's stated end.
_CLOSED, _DURATION_ERROR = 4, 1.0


def earlier(analysis: AnalysisConfig) -> Iterator[AnalysisConfig]:
    """The settings under which results may lie that an upgrade makes these of."""
    yield replace(analysis, text=not analysis.text)
    for version in range(_OLDEST, analysis.version):
        yield replace(analysis, version=version, text=False)


def stored_at(data: DataFolder, span: Span, analysis: AnalysisConfig) -> SpanFolder | None:
    """Where results of a span lie that these settings, perhaps of an older version, gave."""
    folders = [span.folder(data, analysis)]
    if span.open_end and analysis.version <= _CLOSED:
        folders.append(replace(span, end=span.end + _DURATION_ERROR).folder(data, analysis))
    return next((folder for folder in folders if folder.clips.is_file()), None)


def upgrade_span(data: DataFolder, span: Span, analysis: AnalysisConfig) -> int | None:
    """Make a span's results of older ones, if there are any.

    Returns:
        The number of clips; None if the span has to be analysed: nothing is there, it failed, or
        what is there is damaged.
    """
    for older in earlier(analysis):
        before = stored_at(data, span, older)
        if before is None:
            continue
        try:
            clips = read_clips(before.clips)
            if any(clip.reason in FAILURES for clip in clips):
                continue
            return _upgrade(data, span, analysis, before, clips)
        except (FshError, ValueError, OSError):  # damaged: the video is there to start from
            continue
    return None


def _upgrade(
    data: DataFolder, span: Span, analysis: AnalysisConfig, before: SpanFolder, clips: list[Clip]
) -> int:
    sound, made = sound_of_span(data, span), []
    with span_results(data, span, analysis) as folder:
        for clip in accounted(clips, span):
            if clip.samples:
                frames, faces = stored_frames(before, clip, decode=False)
                clip = write_clip(folder, sound, clip, frames, faces, analysis)
            made.append(clip)
        with stage("write"):
            write_clips(made, folder.clips)
    return sum(bool(clip.samples) for clip in clips)


def stored_frames(
    folder: SpanFolder, clip: Clip, *, decode: bool = True
) -> tuple[ClipFrames, FaceLandmarks]:
    """A clip's frames and landmarks as they are stored.

    Args:
        decode: whether the frames' pictures are wanted.

    Raises:
        FshError, ValueError: if its tar is damaged or cut short.
    """
    tar = folder.clip(known(clip.clip_id))
    samples = list(samples_in(open_archive(tar), tar, closed=False))
    infos = [sample.check() for sample in samples]
    jpegs = [sample.frame(i) for sample in samples for i in range(sample.frames)]
    if len(samples) != clip.samples or len(jpegs) != clip.frames:
        raise FshError("cut short", where=tar)
    left, top, side = (int(v) for v in infos[0].crop)
    frames = ClipFrames.of_stored(
        jpegs,
        np.array([box for info in infos for box in info.boxes], np.float32),
        np.array([time for info in infos for time in info.times], np.float64),
        CropWindow(left, top, side),
        decode=decode,
    )
    meshes = [mesh for sample in samples if (mesh := sample.mesh) is not None]
    points = np.concatenate([sample.landmarks for sample in samples])
    return frames, FaceLandmarks(points, np.concatenate(meshes) if meshes else None)

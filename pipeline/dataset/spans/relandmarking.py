"""A finished span of another landmark backend, landmarked and scored anew without its video.

Cuts, faces, tracks and crop windows do not depend on the backend, and the crops are stored. What
comes out is byte for byte what an analysis of the video gives, because backends that can be
changed to find landmarks in the pictures as they are stored.
"""

from __future__ import annotations

from dataclasses import replace

from fsh.pipeline.dataset.accounting import accounted
from fsh.pipeline.dataset.config import LANDMARKED_AS_STORED, AnalysisConfig
from fsh.pipeline.dataset.spans.clip_storage import sound_of_span, store_clip
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.dataset.spans.stages import stage
from fsh.pipeline.dataset.spans.store import span_results
from fsh.pipeline.dataset.spans.upgrading import earlier, stored_at, stored_frames
from fsh.pipeline.faces.backends import BACKENDS
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.span_layout import SpanFolder
from fsh.schemas.tables.parquet import read_clips, write_clips
from fsh.schemas.tables.records import FAILURES, Clip

#: What is known of a clip before it is landmarked; all else is made anew.
_KEPT = (
    *("clip_id", "video_id", "shot", "track", "start", "end", "width", "height"),
    *("cover_start", "cover_end"),
    *("crop_left", "crop_top", "crop_side", "face_px", "drift", "detected", "score"),
    *("reason", "error"),
)


def relandmark_span(data: DataFolder, span: Span, analysis: AnalysisConfig) -> int | None:
    """Make a span's results of those that another backend gave, if there are any.

    Returns:
        The number of clips landmarked; None if the span has to be analysed: nothing is there, it
        failed, lost frames, is damaged, or the backend is none that allows it.
    """
    if analysis.spec.backend not in LANDMARKED_AS_STORED:
        return None
    others = [
        replace(analysis, spec=replace(analysis.spec, backend=name))
        for name in BACKENDS
        if name != analysis.spec.backend
    ]
    for twin in [*others, *(older for other in others for older in earlier(other))]:
        before = stored_at(data, span, twin)
        if before is None:
            continue
        try:
            clips = read_clips(before.clips)
            if not all(map(_is_whole, clips)):
                continue
            return _relandmark(data, span, analysis, before, clips)
        except (FshError, ValueError, OSError):  # damaged: the video is there to start from
            continue
    return None


def _is_whole(clip: Clip) -> bool:
    """Whether all that an analysis would landmark of a clip is stored."""
    return clip.reason not in FAILURES and not clip.frames_failed and clip.samples != 0


def _relandmark(
    data: DataFolder, span: Span, analysis: AnalysisConfig, before: SpanFolder, clips: list[Clip]
) -> int:
    made, sound = [], sound_of_span(data, span)
    with span_results(data, span, analysis) as folder:
        for clip in accounted(clips, span):
            spec = analysis.spec.hash if clip.spec else None
            fresh = Clip(**{name: getattr(clip, name) for name in _KEPT}, spec=spec)
            if clip.samples:
                frames, _ = stored_frames(before, clip)
                fresh = store_clip(folder, sound, fresh, frames, analysis)
            made.append(fresh)
        with stage("write"):
            write_clips(made, folder.clips)
    return sum(bool(clip.samples) for clip in clips)

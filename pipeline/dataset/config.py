"""How a data set is cut: settings that cost a new analysis, and thresholds that cost nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property

from fsh.pipeline.media.shots import CUT_CHANGE, CUT_RATIO
from fsh.schemas.errors import FshError
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.ids import digest
from fsh.schemas.tables.conditions import Condition

#: Raise when the same settings would give other pixels or scores: finished work is made anew.
ANALYSIS_VERSION = 5
#: The same for one landmark backend, so that the finished work of the others stays.
BACKEND_VERSIONS = {"mediapipe": 3}
#: Backends that find landmarks in the pictures as they are stored, JPEG and all. So landmarks can
#: be made anew from them. The others find them in the crops before; to change that would make
#: every older data set anew.
LANDMARKED_AS_STORED = frozenset({"mediapipe"})


@dataclass(frozen=True)
class AnalysisConfig:
    """What decides pixels and scores. Changing any of it analyses every video again.

    The names of the fields are part of the hash, so renaming one costs that as well.

    Attributes:
        spec: crop and landmark specification.
        span: seconds; longer videos are worked on in spans of this length, side by side.
        proxy: pixels of the frame's shorter side when looking for cuts and faces. At 360 a face
            needs 22 % of the shorter side to be found, the size of a head-and-shoulders shot.
        look_every: seconds between two frames in which faces are detected.
        search_every: seconds between two detections in the whole frame; in between faces are
            detected only near those of the frame before.
        max_fps: frames per second kept at most; faster videos lose frames, evenly.
        cut_ratio: how far a frame's change must stand out from its neighbours' to be a cut.
        cut_change: how large that change must be at least (mean HSV difference, 0 to 255).
        lost: seconds a face may go undetected before its track ends.
        longest: seconds; longer tracks become several clips.
        shortest: seconds; shorter tracks are recorded but not cropped.
        smallest_face: source pixels; tracks of smaller faces are recorded but not cropped.
        jpeg_quality: 1 to 100.
        audio: whether each sample carries its sound as FLAC.
        text: whether text over the face is looked for.
        version: of the code that analyses.
    """

    spec: FaceSpec = field(default_factory=FaceSpec)
    span: float = 120.0
    proxy: int = 360
    look_every: float = 0.2
    search_every: float = 1.0
    max_fps: float = 25.0
    cut_ratio: float = CUT_RATIO
    cut_change: float = CUT_CHANGE
    lost: float = 0.5
    longest: float = 10.0
    shortest: float = 0.5
    smallest_face: float = 48.0
    jpeg_quality: int = 95
    audio: bool = False
    text: bool = False
    version: int = ANALYSIS_VERSION

    @cached_property
    def hash(self) -> str:
        """12 hex digits that change when the pixels or scores would."""
        settings = {**asdict(self), "spec": self.spec.values()}
        if self.version < 5:
            del settings["text"]
        if self.spec.backend in BACKEND_VERSIONS:
            settings["backend_version"] = BACKEND_VERSIONS[self.spec.backend]
        return digest(settings)


@dataclass(frozen=True)
class FilterConfig:
    """Thresholds on stored scores, tried in this order; changing them decodes nothing.

    The words in code style are the reasons that reject a clip
    (:class:`fsh.schemas.tables.records.RejectReason`).

    Attributes:
        min_seconds: shorter clips are ``too_short``.
        min_face: source pixels of the face box; smaller is ``small_face``.
        max_cut_off: sides of the face box by which the head may reach out of the frame; more is
            ``cut_off``: nothing can be learned of the missing part.
        min_detected: share of the sampled frames in which the detector fired; less is ``unsteady``.
        max_failed: share of frames without landmarks; more is ``no_landmarks``.
        min_sharpness: variance of the Laplacian as it would be at 256 px; less is ``blurred``.
        min_brightness, max_brightness: face luma, 0 to 1; outside is ``dark`` or ``overexposed``.
        min_contrast: face luma's standard deviation, 0 to 1; less is ``flat``.
        max_yaw: degrees; more is ``profile``.
        min_frame_difference: mean luma change between frames; less is ``still``: a photograph.
        min_mouth_motion: less is ``not_talking``; 0 keeps everybody, since a network also learns
            from a silent face.
        min_identity_consistency: cosine similarity along the track; less is ``mixed``: two people.
        min_speech: share of the clip with a voice; less is ``no_speech``. 0 keeps the silent.
        min_sync: confidence that the voice is the face's; less is ``other_voice``. Only of clips
            with sound; 2.5 is a strict value, 0 keeps all.
        max_sync_offset: seconds between mouth and voice; more is ``out_of_sync`` where the
            confidence is 4 or more. 0.1 is a strict value, 1 keeps all.
        max_text: share of the face's box under text; more is ``under_text``. 0.02 is a strict
            value, 1 keeps all.
        duplicates: 1 keeps all clips that show the same footage, 0 only one of them: the others
            are ``duplicate``. They are in one split either way.
    """

    min_seconds: float = 1.0
    min_face: float = 64.0
    max_cut_off: float = 0.25
    min_detected: float = 0.5
    max_failed: float = 0.2
    min_sharpness: float = 8.0
    min_brightness: float = 0.08
    max_brightness: float = 0.95
    min_contrast: float = 0.03
    max_yaw: float = 75.0
    min_frame_difference: float = 0.0008
    min_mouth_motion: float = 0.0
    min_identity_consistency: float = 0.80
    min_speech: float = 0.0
    min_sync: float = 0.0
    max_sync_offset: float = 1.0
    max_text: float = 1.0
    duplicates: float = 1.0


def filters_of(values: Mapping[str, float]) -> FilterConfig:
    """The default thresholds, with those that are given.

    Raises:
        FshError: if there is none of a name, or a value is no number.
    """
    names = {one.name for one in fields(FilterConfig)}
    for name, value in values.items():
        if name not in names:
            known = ", ".join(sorted(names))
            raise FshError(f"there is no filter {name!r}", remedy=f"name one of {known}")
        if math.isnan(value):
            raise FshError(f"{name} is no number", remedy="give one, such as 0.5")
    return FilterConfig(**values)


@dataclass(frozen=True)
class ShardConfig:
    """Everything ``fsh shard`` can be told.

    Attributes:
        only: conditions on the labels of the user's lists; clips of sources that do not meet them
            are ``other_label``.
        shard_bytes: aimed size of a shard.
        same_person: largest mean distance of the face embeddings of one person. Below dlib's own
            0.6 for single pictures: among many people there are look-alikes.
        max_failed: share of failed videos above which the run itself counts as failed.
        video_timeout: seconds allowed per second of video, on top of a minute.
        memory_limit: bytes of private memory one worker may use.
        retry_failed: work again on videos that crashed, hung or could not be read.
    """

    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)
    filters: FilterConfig = field(default_factory=FilterConfig)
    only: tuple[Condition, ...] = ()
    shard_bytes: int = 128 * 2**20
    same_person: float = 0.40
    max_failed: float = 0.5
    video_timeout: float = 20.0
    memory_limit: int = 4 * 2**30
    retry_failed: bool = False

    @property
    def hash(self) -> str:
        """12 hex digits of what decides the data set: not of time and memory limits."""
        settings = {
            "analysis": self.analysis.hash,
            "filters": asdict(self.filters),
            "shard_bytes": self.shard_bytes,
            "same_person": self.same_person,
        }
        if self.only:  # without, the hash is what it was before there were conditions
            settings["only"] = [asdict(condition) for condition in self.only]
        return digest(settings)

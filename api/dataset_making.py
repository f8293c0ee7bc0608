"""Making a data set: videos from lists, then faces from videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsh.data_places import copies_setting, data_folder
from fsh.defaults import Announce, AnyPath, as_texts, worker_count
from fsh.schemas.errors import FshError
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.outputs import require_data_folder
from fsh.schemas.progress import Progress, Silent
from fsh.schemas.tables.conditions import Condition

if TYPE_CHECKING:  # Apache Beam takes a second to import
    from fsh.pipeline.dataset.finish import PartReport, ShardReport
    from fsh.pipeline.dataset.integrity import IntegrityReport
    from fsh.pipeline.ingest.options import IngestOptions
    from fsh.pipeline.ingest.plan import IngestPlan
    from fsh.pipeline.ingest.report import IngestReport


def ingest(
    lists: AnyPath | Sequence[AnyPath],
    data: AnyPath = "data",
    *,
    copy: bool = False,
    license: str = "any",
    retry: str = "transient",
    rate: float = 300,
    workers: int = 0,
    cookies: AnyPath | None = None,
    cookies_from_browser: str = "",
    proxy: str = "",
    yt_dlp_options: str = "",
    max_height: int = 1080,
    ranges: bool = False,
    only: Sequence[str] = (),
    runner: str | None = None,
    flags: Sequence[str] = (),
    part: str | None = None,
    max_failures: float = 0.5,
    progress: Progress | None = None,
) -> IngestReport:
    """Fetch or link the videos of lists, and record where each came from.

    Run again, it does only what is missing.

    Args:
        lists: lists, folders, video files or URLs; one or several.
        data: the data folder, or its address in an object store (docs/scale.md).
        copy: copy local files instead of linking to them.
        license: ``any``, or ``cc``: only what states a Creative Commons licence.
        retry: which failures of earlier runs are tried again: ``none``, ``transient``,
            ``permanent`` or ``all``.
        rate: videos an hour from YouTube; 0: no limit.
        workers: videos at a time; 0: 8 from the net, else one per core.
        cookies: a cookies.txt for video sites that want a login.
        cookies_from_browser: take a browser's cookies instead: ``firefox``, ``chrome:Profile 1``.
        proxy: URL of a proxy for everything but this machine; empty: the system's.
        yt_dlp_options: further options of yt-dlp's command, as a shell takes them.
        max_height: lines of the largest picture asked for, where a site has a choice.
        ranges: of videos on sites, fetch only the ranges that the lists ask for.
        only: conditions on the lists' labels, such as ``language=English`` or ``age>=18``; rows
            that do not meet them all are left out.
        runner: an engine such as ``dask`` (docs/scale.md), which ``flags`` are for; None: here.
        part: such as ``3/40``: only that share of the videos, beside other parts.
        max_failures: share of failed requests above which this raises; not of a part's.
        progress: is told how far the work is (:class:`~fsh.schemas.progress.Progress`).

    Raises:
        TooManyFailures: after everything is recorded; its ``report`` says what was.
        FshError: nothing to ingest, another ingest at work, a full disk.
    """
    from fsh.pipeline.ingest.run import ingest as run_ingest

    require_data_folder(folder := data_folder(data))
    options = _options(
        copy=copy,
        license=license,
        retry=retry,
        rate=rate,
        workers=workers,
        cookies=cookies,
        cookies_from_browser=cookies_from_browser,
        proxy=proxy,
        yt_dlp_options=yt_dlp_options,
        max_height=max_height,
        ranges=ranges,
        only=only,
        runner=runner,
        flags=tuple(flags),
        part=part,
        max_failures=max_failures,
    )
    return run_ingest(as_texts(lists), folder, options, progress or Silent())


def plan_ingest(
    lists: AnyPath | Sequence[AnyPath], data: AnyPath = "data", **options: Any
) -> IngestPlan:
    """What :func:`ingest` would do with the same options; nothing is fetched.

    Raises:
        FshError: if a list or an option cannot be used.
    """
    from fsh.pipeline.ingest.plan import plan_ingest as plan_lists

    return plan_lists(as_texts(lists), data_folder(data), _options(**options))


def shard(
    data: AnyPath = "data",
    *,
    landmarks: str = "auto",
    size: int = 256,
    max_fps: float = 25.0,
    audio: bool = False,
    min_face: float | None = None,
    min_seconds: float | None = None,
    text: bool = False,
    filters: Mapping[str, float] | None = None,
    only: Sequence[str] = (),
    workers: int = 0,
    runner: str | None = None,
    mode: str = "multi_threading",
    flags: Sequence[str] = (),
    part: str | None = None,
    retry: bool = False,
    video_timeout: float | None = None,
    max_failures: float | None = None,
    announce: Announce | None = None,
    progress: Progress | None = None,
) -> ShardReport | PartReport:
    """Find shots, faces and landmarks in the ingested videos; write WebDataset tar shards.

    The same input gives the same bytes, whatever the workers or the runner. Run again, it does
    only what is missing.

    Args:
        data: the data folder, or its address in an object store (docs/scale.md).
        landmarks: the backend: ``mediapipe``, ``fan`` (the paper's) or ``dlib``; ``auto``: the one
            that the folder's data set was made with, else what is best here.
        size: side of a stored crop, pixels.
        max_fps: frames kept per second at most.
        audio: whether to keep each sample's sound.
        min_face: smallest face kept, source pixels; None: the default of
            :class:`~fsh.pipeline.dataset.config.FilterConfig`, as for ``min_seconds``.
        min_seconds: shortest clip kept.
        text: whether text over the face is looked for, which needs ``fsh[text]``.
        filters: thresholds by the names that :class:`~fsh.pipeline.dataset.config.FilterConfig`
            gives them, such as ``{"max_text": 0.02}``; the others have their defaults.
        only: conditions on the labels of the ingested lists, such as ``language=English``; clips
            of others are rejected as ``other_label``.
        workers: parallel workers; 0: one per core.
        runner: ``dask`` or another engine (docs/scale.md); None: this machine. ``flags`` are its
            own.
        part: such as ``3/40``: only analyse that share of the videos, beside other parts. Without
            it, what they have done is made into the data set.
        mode: of a local run: ``in_memory``, ``multi_threading`` or ``multi_processing``.
        retry: work again on videos that crashed or hung.
        video_timeout: seconds allowed per second of video; None: the default of
            :class:`~fsh.pipeline.dataset.config.ShardConfig`, as for ``max_failures``.
        max_failures: share of failed videos above which this raises.
        announce: called once, before the work begins, with the settings in force.
        progress: is told how far the work is (:class:`~fsh.schemas.progress.Progress`).

    Raises:
        FshError: nothing ingested, a threshold that there is not, or too many failures; what did
            not fail is in the data set.
    """
    if text:
        from fsh.pipeline.faces.overlaid_text import require_text_detector

        require_text_detector()
    from fsh.pipeline.dataset.config import AnalysisConfig, ShardConfig, filters_of
    from fsh.pipeline.dataset.graph import shard as run_shard
    from fsh.pipeline.dataset.graph import shard_part
    from fsh.pipeline.engine.parts import Part

    share = Part.parse(part) if part else None
    if share and runner:
        raise FshError("--part and --runner are two ways to share work out: give one of them")
    progress = progress or Silent()
    folder = data_folder(data)
    spec = replace(FaceSpec(), backend=landmark_backend_for(folder, landmarks, progress), size=size)
    config = ShardConfig(
        analysis=replace(AnalysisConfig(), spec=spec, max_fps=max_fps, audio=audio, text=text),
        filters=_changed(filters_of(filters or {}), min_face=min_face, min_seconds=min_seconds),
        retry_failed=retry,
        only=tuple(map(Condition.parse, only)),
    )
    config = _changed(config, video_timeout=video_timeout, max_failed=max_failures)
    count = worker_count(workers)
    if announce:
        where: dict[str, object] = {"part": share} if share else {"runner": runner or "local"}
        settings = {"data": data, "faces": spec, "max_fps": max_fps, "workers": count, **where}
        announce({**settings, "audio": audio, **copies_setting(folder)})
    if share:
        return shard_part(folder, config, share, workers=count, mode=mode, progress=progress)
    return run_shard(
        folder,
        config,
        runner=runner,
        workers=count,
        mode=mode,
        flags=tuple(flags),
        progress=progress,
    )


#: Said of a data set whose landmarks could be better.
_BETTER = "; --landmarks mediapipe makes them anew of the stored crops"


def landmark_backend_for(data: DataFolder, wanted: str, progress: Progress) -> str:
    """The backend that :func:`shard` takes; says what it means if the data set has another one.

    Raises:
        FshError: as :func:`~fsh.pipeline.faces.backends.choose_backend` does.
    """
    from fsh.pipeline.dataset.config import LANDMARKED_AS_STORED
    from fsh.pipeline.faces.backends import BACKENDS, choose_backend
    from fsh.schemas.shards.card import DatasetCard

    try:
        before = DatasetCard.read(data.card).spec.backend
    except FshError:  # nothing was made yet, or it is made anew
        before = ""
    if wanted == "auto" and before in BACKENDS:
        better = "" if before in LANDMARKED_AS_STORED else _BETTER
        progress.say(f"landmarks: {before}, as {data.root} was made with{better}")
        return choose_backend(before, progress)
    chosen = choose_backend(wanted, progress)
    if before and chosen != before:
        stored = chosen in LANDMARKED_AS_STORED
        how = "of the stored crops" if stored else "of the videos, which are analysed again"
        progress.say(
            f"{data.root} was made with {before}: landmarks, scores and shards are made anew with "
            f"{chosen}, {how}; runs and people of {before} keep their own landmarks, and cannot be "
            "trained or evaluated on these shards"
        )
    return chosen


def check_shards(
    data: AnyPath = "data", *, frames: bool = False, progress: Progress | None = None
) -> IntegrityReport:
    """Compare everything that :func:`shard` wrote with the data set's card; nothing is written.

    Args:
        data: the data folder.
        frames: whether to decode every frame as well, which takes far longer.

    Returns:
        What was read, and a line for everything that is damaged, missing or not as recorded.

    Raises:
        FshError: if there is no data set.
    """
    from fsh.pipeline.dataset.integrity import check_dataset

    return check_dataset(data_folder(data), progress or Silent(), decode_frames=frames)


def _options(
    rate: float = 300,
    cookies: AnyPath | None = None,
    cookies_from_browser: str = "",
    proxy: str = "",
    yt_dlp_options: str = "",
    max_height: int = 1080,
    only: Sequence[str] = (),
    part: str | None = None,
    **others: Any,
) -> IngestOptions:
    """The options of :func:`ingest` as the pipeline takes them."""
    from fsh.pipeline.engine.parts import Part
    from fsh.pipeline.ingest.options import IngestOptions
    from fsh.pipeline.ingest.site_options import SiteOptions

    site = SiteOptions(
        cookies=Path(cookies) if cookies else None,
        browser=cookies_from_browser,
        extra=yt_dlp_options,
        max_height=max_height,
        proxy=proxy,
    )
    conditions = tuple(map(Condition.parse, only))
    share = Part.parse(part) if part else None
    return IngestOptions(rate_per_hour=rate, site=site, only=conditions, part=share, **others)


def _changed(settings: Any, **values: Any) -> Any:
    """The settings with those values that were given."""
    return replace(settings, **{name: v for name, v in values.items() if v is not None})

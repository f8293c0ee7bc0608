"""``fsh ingest``: lists in, videos and a ledger out."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import apache_beam as beam

from fsh.pipeline.ingest import addresses
from fsh.pipeline.ingest import ledger as ledgers
from fsh.pipeline.ingest.failures import DiskFull, Failure
from fsh.pipeline.ingest.fetch import (
    RESERVE,
    failed,
    is_creative_commons,
    wrong_license,
)
from fsh.pipeline.ingest.journal import Job, Outcome
from fsh.pipeline.ingest.ledger import Ledger, Row
from fsh.pipeline.ingest.lists import read_lists
from fsh.pipeline.ingest.progress import watching
from fsh.pipeline.ingest.rate_limit import Governor
from fsh.pipeline.ingest.report import (
    IngestPlan,
    IngestReport,
    count_ranges,
    judge,
    make_report,
)
from fsh.pipeline.ingest.report import TooManyFailures as TooManyFailures
from fsh.pipeline.ingest.requests import Listing, Request, unique
from fsh.pipeline.ingest.workers import STOP, FetchVideos, IngestOptions, governor_of
from fsh.pipeline.locks import locked
from fsh.pipeline.runner import make_pipeline
from fsh.schemas import urls
from fsh.schemas.errors import FshError
from fsh.schemas.layout import DataFolder
from fsh.schemas.progress import Progress


def plan(
    lists: Sequence[str], data: DataFolder | None = None, options: IngestOptions | None = None
) -> IngestPlan:
    """Parse the lists and say what a run would do; nothing is fetched but lists named by URL."""
    options = options or IngestOptions()
    listing = read_lists(lists)
    requests = unique(listing.requests)
    ledger = Ledger(data) if data else None
    rows = ledgers.rows_of(requests, ledger) if ledger else []
    work = ledgers.plan_jobs(
        requests, ledger.rows if ledger else {}, data or DataFolder(Path()), options.retry
    )
    hosts = Counter(urls.host_group(job.requests[0].url) for job in work.jobs)
    governor = governor_of(data or DataFolder(Path()), options)
    hours = max((n / rate for host, n in hosts.items() if (rate := governor.rate(host))), default=0)
    return IngestPlan(
        rows=len(listing.requests),
        requests=len(requests),
        videos=len({request.key for request in requests}),
        ranges=count_ranges(requests),
        playlists=sum(urls.is_playlist(request.url) for request in requests),
        bad_lines=tuple(map(str, listing.bad_lines)),
        notes=tuple(listing.notes),
        states=dict(Counter(row["state"] for row in rows)),
        errors=dict(Counter(row["error_class"] for row in rows if row["error_class"])),
        to_fetch=len(work.jobs),
        hosts=dict(hosts.most_common()),
        hours=round(hours, 2),
    )


def ingest(
    lists: Sequence[str], data: DataFolder, options: IngestOptions, progress: Progress
) -> IngestReport:
    """Fetch what the lists ask for and record what became of it.

    Run again, it does only what is missing. Every finished video is on disk and in a journal before
    the next one begins, so a kill at any moment loses nothing.

    Raises:
        TooManyFailures: after everything is recorded, if more failed than allowed.
        FshError: nothing to ingest, another ingest at work, a full disk.
    """
    listing = read_lists(lists)
    for bad in listing.bad_lines:
        progress.say(f"malformed, left out: {bad}")
    if not listing.requests:
        raise FshError(
            "; ".join(listing.notes) or "nothing to ingest",
            remedy="give a list with a url column, one URL or path per line, a folder, or a URL",
        )
    for note in listing.notes:
        progress.say(note)
    with locked(data):
        try:
            return _ingest_locked(listing, data, options, progress)
        except DiskFull as full:
            raise FshError(
                "no room left on the disk; all finished videos are recorded",
                where=full,
                remedy="make room and run the same command again: it goes on where it stopped",
            ) from None


def _ingest_locked(
    listing: Listing, data: DataFolder, options: IngestOptions, progress: Progress
) -> IngestReport:
    STOP.clear()
    shutil.rmtree(data.videos / ".incoming", ignore_errors=True)
    governor = governor_of(data, options)
    governor.forgive()
    ledger = Ledger(data)
    requests, dead = _expand(unique(listing.requests), options, governor, progress)
    work = ledgers.plan_jobs(requests, ledger.rows, data, options.retry)
    for row in work.settled:
        ledger.put(_admitted(row, options))
    for request, outcome in dead:
        ledger.put(ledgers.row_of(request, outcome))
    ledger.compact(drop_journals=True)
    ledger.finished.clear()
    if work.jobs:
        _announce(work.jobs, options, progress)
        progress.start("ingest", len(work.jobs), "videos")
        with watching(data, progress):
            _run(work.jobs, data, options)
        progress.stop()
        ledger.replay()
        ledger.compact(drop_journals=True)
        _check_finished(work.jobs, ledger, data)
    shutil.rmtree(data.videos / ".incoming", ignore_errors=True)
    requests += [request for request, _ in dead]
    report = make_report(listing, requests, ledger, len(work.jobs))
    judge(report, options.max_failures)
    return report


def _run(jobs: Sequence[Job], data: DataFolder, options: IngestOptions) -> None:
    """The graph: one element per video, ids and paths only."""
    try:
        with make_pipeline(
            options.runner, workers=_workers(jobs, options), flags=options.flags
        ) as pipeline:
            _ = (
                pipeline
                | "videos" >> beam.Create(jobs)
                | "spread" >> beam.Reshuffle()
                | "fetch and record" >> beam.ParDo(FetchVideos(data, options))
                | "by cause" >> beam.combiners.Count.PerElement()
            )
    except BaseException:  # Ctrl-C among them: workers that wait shall leave off
        STOP.set()
        raise


def _expand(
    requests: Sequence[Request], options: IngestOptions, governor: Governor, progress: Progress
) -> tuple[list[Request], list[tuple[Request, Outcome]]]:
    """Playlists and channels as their videos, and those that could not be read."""
    if not any(urls.is_playlist(request.url) for request in requests):
        return list(requests), []
    from fsh.pipeline.ingest import sites  # yt-dlp is large, and most lists need none of it here

    expanded: list[Request] = []
    dead: list[tuple[Request, Outcome]] = []
    for request in requests:
        if not urls.is_playlist(request.url):
            expanded.append(request)
            continue
        rule = addresses.AddressRule.for_url(request.url, trusted=request.trusted)
        try:
            governor.acquire(urls.YOUTUBE)
            with tempfile.TemporaryDirectory(prefix="fsh-") as folder:
                links = sites.expand(
                    request.url, rule, options.limits, Path(folder), options.cookies
                )
            progress.say(f"{request.url}: {len(links)} videos")
            expanded += [replace(request, url=link) for link in links]
        except Failure as failure:
            progress.say(f"{request.url}: {failure.text}")
            dead.append((request, failed(failure, 1)))
    return unique(expanded), dead


def _admitted(row: Row, options: IngestOptions) -> Row:
    """A row of an earlier run, refused now if its licence is not among those asked for."""
    if row["state"] != "stored" or options.license == "any" or is_creative_commons(row["license"]):
        return row
    refused = asdict(failed(wrong_license(row["license"]), row["attempts"]))
    return row | refused | {"license": row["license"]}


def _announce(jobs: Sequence[Job], options: IngestOptions, progress: Progress) -> None:
    hosts = Counter(urls.host_group(job.requests[0].url) for job in jobs)
    youtube = hosts[urls.YOUTUBE]
    if youtube and options.rate_per_hour:
        hours = youtube / options.rate_per_hour
        progress.say(
            f"{youtube} videos from YouTube at {options.rate_per_hour:g} an hour: "
            f"{hours:.1f} h at least; stop at any time, the same command goes on"
        )


def _check_finished(jobs: Sequence[Job], ledger: Ledger, data: DataFolder) -> None:
    """Raises:
    DiskFull, FshError: if workers left jobs undone.
    """
    undone = sum(job.requests[0].request_id not in ledger.finished for job in jobs)
    if undone and (STOP.is_set() or shutil.disk_usage(data.root).free < RESERVE):
        raise DiskFull(data.root)
    if undone:
        raise FshError(
            f"{undone} of {len(jobs)} videos were not finished by the workers",
            where=data.root,
            remedy="run again: it goes on where it stopped",
        )


def _workers(jobs: Sequence[Job], options: IngestOptions) -> int:
    remote = any(urls.is_url(job.requests[0].url) for job in jobs)
    return min(len(jobs), options.workers or (8 if remote else os.cpu_count() or 1))

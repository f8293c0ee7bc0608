"""``fsh ingest``: lists in, videos and a ledger out."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace

import apache_beam as beam

from fsh.pipeline.engine.runner import Engine, opened
from fsh.pipeline.engine.stop_signal import StopSignal, stop_signal
from fsh.pipeline.engine.ticket import Ticket
from fsh.pipeline.ingest.addresses import AddressRule
from fsh.pipeline.ingest.failures import Failure
from fsh.pipeline.ingest.journal import FetchOutcome, Job, Journal
from fsh.pipeline.ingest.ledger import Ledger, merge_journals, plan_jobs, source_of
from fsh.pipeline.ingest.licenses import check_license
from fsh.pipeline.ingest.lists.requests import Listing, Request, unique
from fsh.pipeline.ingest.options import IngestOptions
from fsh.pipeline.ingest.progress import showing_progress
from fsh.pipeline.ingest.rate_limit import MIN_STRIKE_SECONDS, RateLimiter
from fsh.pipeline.ingest.report import IngestReport, make_report, require_few_failures
from fsh.pipeline.ingest.storage import RESERVED_BYTES, require_links
from fsh.pipeline.ingest.wanted import wanted_requests
from fsh.pipeline.ingest.workers import FetchVideos
from fsh.pipeline.locks import locked
from fsh.schemas import urls
from fsh.schemas.errors import FshError
from fsh.schemas.machine import workers as workers_that_fit
from fsh.schemas.places.disk import NoRoom
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import cache_folder, is_remote
from fsh.schemas.places.temporary import scratch_folder
from fsh.schemas.progress import Progress
from fsh.schemas.tables.records import Source, SourceState

#: Malformed lines that are shown one by one.
_SHOWN = 20


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
    if options.runner and not is_remote(data.root):
        data = DataFolder(data.root.absolute())
    listing, requests = wanted_requests(lists, options)
    for bad in listing.bad_lines[:_SHOWN]:
        progress.say(f"malformed, left out: {bad}")
    if more := len(listing.bad_lines[_SHOWN:]):
        progress.say(f"and {more} more malformed lines; --dry-run --json names them all")
    for note in listing.notes:
        progress.say(note)
    part = options.part
    with locked(data, part=str(part or ""), say=progress.say):
        try:
            with stop_signal(data, "ingest", part.name if part else "") as stop:
                return _ingest_locked(listing, requests, data, options, stop, progress)
        except NoRoom as full:
            raise FshError(
                "no room left on the disk; all finished videos are recorded",
                where=full.where,
                remedy="make room and run the same command again: it goes on where it stopped",
            ) from None


def _ingest_locked(
    listing: Listing,
    requests: Sequence[Request],
    data: DataFolder,
    options: IngestOptions,
    stop: StopSignal,
    progress: Progress,
) -> IngestReport:
    limiter = options.rate_limiter(data)
    if not options.part:
        shutil.rmtree(data.incoming, ignore_errors=True)
    limiter.forget_strikes(MIN_STRIKE_SECONDS if options.part else 0.0)
    ledger = Ledger(data)
    requests, unreadable = _expand_playlists(requests, options, limiter, progress)
    requests = options.share_of(requests)
    own = set(options.share_of(request for request, _ in unreadable))
    unreadable = [(request, outcome) for request, outcome in unreadable if request in own]
    plan = plan_jobs(requests, ledger.sources, data, options.retry)
    known = [_with_license_checked(source, options) for source in plan.up_to_date]
    known += [source_of(request, outcome) for request, outcome in unreadable]
    if options.part:
        _record(known, [*requests, *own], ledger, data, stop)
    for source in known:
        ledger.put(source)
    _settle(ledger, data, options, stop)
    ledger.finished.clear()
    linked = not options.copy and not is_remote(data.root)
    if linked and any(not urls.is_url(job.requests[0].url) for job in plan.jobs):
        require_links(data)
    if plan.jobs:
        _announce_rate(plan.jobs, options, progress)
        progress.start("ingest", len(plan.jobs), "videos")
        with showing_progress(data, progress, run=stop.run):
            _run(plan.jobs, data, options, stop, progress)
        progress.stop()
        ledger.replay(stop.run)
        _settle(ledger, data, options, stop)
        _check_finished(plan.jobs, ledger, data, stop)
    if not options.part:
        shutil.rmtree(data.incoming, ignore_errors=True)
    requests += [request for request, _ in unreadable]
    report = make_report(listing, requests, ledger, len(plan.jobs), str(options.part or ""))
    if not options.part:  # a part is too small to judge
        require_few_failures(report, options.max_failures)
    return report


def _settle(ledger: Ledger, data: DataFolder, options: IngestOptions, stop: StopSignal) -> None:
    """Write the table. Beside other parts only what the journals hold is brought into it."""
    if is_remote(data.root) and stop.is_set():
        return  # whoever has taken over may have written it; the journals are there
    if options.part:
        merge_journals(data)
    else:
        ledger.compact(drop_journals=True)


def _record(
    known: Sequence[Source],
    requests: Sequence[Request],
    ledger: Ledger,
    data: DataFolder,
    stop: StopSignal,
) -> None:
    """What a part knows without fetching, and the table does not, goes into its journal."""
    by_id = {request.request_id: request for request in requests}
    news = [
        source
        for source in known
        if source.request_id in by_id and ledger.sources.get(source.request_id) != source
    ]
    if not news:
        return
    journal = Journal(data, stop.run)
    for source in news:
        request = by_id[source.request_id]
        journal.append(Job(request.key, (request,)), FetchOutcome.of_source(source))
    journal.close()


def _run(
    jobs: Sequence[Job],
    data: DataFolder,
    options: IngestOptions,
    stop: StopSignal,
    progress: Progress,
) -> None:
    """The graph: one element per video, ids and paths only."""
    engine = Engine(options.runner, _workers(jobs, options), flags=options.flags)
    ticket = Ticket.of(data, stop, elsewhere=not engine.is_local)
    step = FetchVideos(data, options, stop, ticket if ticket.elsewhere or options.part else None)

    def graph(pipeline: beam.Pipeline) -> None:
        _ = pipeline | "videos" >> engine.elements(jobs) | "fetch and record" >> beam.ParDo(step)

    with opened(engine, ticket, progress) as at_work:
        at_work.run(graph)


def _expand_playlists(
    requests: Sequence[Request], options: IngestOptions, limiter: RateLimiter, progress: Progress
) -> tuple[list[Request], list[tuple[Request, FetchOutcome]]]:
    """Requests with playlists and channels replaced by their videos, and those not readable."""
    if not any(urls.is_playlist(request.url) for request in requests):
        return list(requests), []
    from fsh.pipeline.ingest import sites  # yt-dlp is large, and most lists need none of it here

    expanded: list[Request] = []
    unreadable: list[tuple[Request, FetchOutcome]] = []
    for request in requests:
        if not urls.is_playlist(request.url):
            expanded.append(request)
            continue
        proxy = options.site.proxy
        rule = AddressRule.for_url(request.url, trusted=request.trusted, proxy=proxy)
        try:
            limiter.acquire(urls.YOUTUBE)
            with scratch_folder("playlist") as folder:
                links = sites.playlist_videos(
                    request.url, rule, options.limits, folder, options.site
                )
            progress.say(f"{request.url}: {len(links)} videos")
            expanded += [replace(request, url=link) for link in links]
        except Failure as failure:
            progress.say(f"{request.url}: {failure.text}")
            unreadable.append((request, FetchOutcome.of_failure(failure, 1)))
    return unique(expanded), unreadable


def _with_license_checked(source: Source, options: IngestOptions) -> Source:
    """A source of an earlier run, refused now if its licence is not among those asked for."""
    if source.state is not SourceState.STORED:
        return source
    try:
        check_license(source.license, options.license)
    except Failure as failure:
        refused = FetchOutcome.of_failure(failure, source.attempts)
        return replace(source, **asdict(replace(refused, license=source.license)))
    return source


def _announce_rate(jobs: Sequence[Job], options: IngestOptions, progress: Progress) -> None:
    hosts = Counter(urls.host_group(job.requests[0].url) for job in jobs)
    youtube = hosts[urls.YOUTUBE]
    if youtube and options.rate_per_hour:
        hours = youtube / options.rate_per_hour
        progress.say(
            f"{youtube} videos from YouTube at {options.rate_per_hour:g} an hour: "
            f"{hours:.1f} h at least; stop at any time, the same command goes on"
        )


def _check_finished(
    jobs: Sequence[Job], ledger: Ledger, data: DataFolder, stop: StopSignal
) -> None:
    """Raises:
    NoRoom, FshError: if workers left jobs undone.
    """
    undone = sum(job.requests[0].request_id not in ledger.finished for job in jobs)
    remote = is_remote(data.root)  # where somebody else may have stopped it
    here = cache_folder() if remote else data.root
    full = undone and shutil.disk_usage(here).free < RESERVED_BYTES
    if full or (undone and stop.is_set() and not remote):
        raise NoRoom(here)
    if undone:
        raise FshError(
            f"{undone} of {len(jobs)} videos were not finished by the workers",
            where=data.root,
            remedy="run again: it goes on where it stopped",
        )


def _workers(jobs: Sequence[Job], options: IngestOptions) -> int:
    remote = any(urls.is_url(job.requests[0].url) for job in jobs)
    return min(len(jobs), options.workers or (8 if remote else workers_that_fit()))

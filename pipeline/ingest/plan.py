"""What an ingest would do: the plan before a run, without Beam."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fsh.pipeline.ingest.ledger import Ledger, plan_jobs, sources_of
from fsh.pipeline.ingest.options import IngestOptions
from fsh.pipeline.ingest.report import count_errors, count_ranges, count_states, json_of_counts
from fsh.pipeline.ingest.wanted import wanted_requests
from fsh.schemas import urls
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.tables.records import ErrorClass, SourceState


@dataclass(frozen=True)
class IngestPlan:
    """What the lists ask for, before anything is fetched.

    Attributes:
        rows: rows of the lists that ask for something; requests: without repetitions.
        videos: different videos; ranges: requests for a part of one; playlists: channels and
            playlists, whose videos are not known yet.
        states: state → requests of earlier runs; errors: class → requests of earlier runs.
        to_fetch: videos that are not stored yet, or to be tried again.
        hosts: host group → videos; '' is this machine.
        hours: that the rate limit makes the slowest host take, at least.
    """

    rows: int
    requests: int
    videos: int
    ranges: int
    playlists: int
    bad_lines: tuple[str, ...]
    notes: tuple[str, ...]
    states: Mapping[SourceState, int]
    errors: Mapping[ErrorClass, int]
    to_fetch: int
    hosts: Mapping[str, int]
    hours: float

    def to_json(self) -> dict[str, Any]:
        return json_of_counts(asdict(self))


def plan_ingest(
    lists: Sequence[str], data: DataFolder | None = None, options: IngestOptions | None = None
) -> IngestPlan:
    """Parse the lists and say what a run would do; nothing is fetched but lists named by URL."""
    options = options or IngestOptions()
    listing, requests = wanted_requests(lists, options)
    requests = options.share_of(requests)
    ledger = Ledger(data) if data else None
    sources = sources_of(requests, ledger) if ledger else []
    folder = data or DataFolder(Path())
    jobs = plan_jobs(requests, ledger.sources if ledger else {}, folder, options.retry).jobs
    hosts = Counter(urls.host_group(job.requests[0].url) for job in jobs)
    limiter = options.rate_limiter(folder)
    hours = max((n / rate for host, n in hosts.items() if (rate := limiter.rate(host))), default=0)
    return IngestPlan(
        rows=len(listing.requests),
        requests=len(requests),
        videos=len({request.key for request in requests}),
        ranges=count_ranges(requests),
        playlists=sum(urls.is_playlist(request.url) for request in requests),
        bad_lines=tuple(map(str, listing.bad_lines)),
        notes=tuple(listing.notes),
        states=count_states(sources),
        errors=count_errors(sources),
        to_fetch=len(jobs),
        hosts=dict(hosts.most_common()),
        hours=round(hours, 2),
    )

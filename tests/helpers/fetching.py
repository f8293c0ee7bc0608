"""One video fetched as a worker does it, for the tests of what comes of it."""

from __future__ import annotations

from fsh.pipeline.ingest.download import DownloadLimits
from fsh.pipeline.ingest.fetch import Fetcher
from fsh.pipeline.ingest.journal import FetchOutcome, Job
from fsh.pipeline.ingest.lists.requests import Request
from fsh.pipeline.ingest.options import IngestOptions
from fsh.pipeline.ingest.prober import Prober
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.places.layout import DataFolder

#: Limits that a loopback server keeps to however busy the machine is, and those that none does.
LIMITS = DownloadLimits(timeout=60)
STRICT = DownloadLimits(timeout=60, window=0.4, window_bytes=2**12)


def fetcher_in(data: DataFolder, prober: Prober, **options) -> Fetcher:
    """A fetcher that asks any host at any rate, and tries twice."""
    data.records.mkdir(parents=True, exist_ok=True)
    chosen = IngestOptions(**{"limits": LIMITS, "attempts": 2, "host_rate_per_hour": 0} | options)
    return Fetcher(data, chosen, chosen.rate_limiter(data), Tombstones(), prober)


def fetch(fetcher: Fetcher, url: str, *, trusted: bool = True, **request) -> FetchOutcome:
    """Fetch one URL or path."""
    wanted = Request(url, trusted=trusted, **request)
    return fetcher.fetch(Job(wanted.key, (wanted,)))


def cause(outcome: FetchOutcome) -> tuple[str, str | None, str]:
    """State, class and code of a fetch that stored nothing."""
    assert not outcome.path
    return outcome.state, outcome.error_class, outcome.error_code

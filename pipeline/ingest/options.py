"""How to ingest: the options of a run, without Beam."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fsh.pipeline.engine.parts import Part
from fsh.pipeline.ingest.download import DownloadLimits
from fsh.pipeline.ingest.lists.requests import Request
from fsh.pipeline.ingest.rate_limit import RateLimiter
from fsh.pipeline.ingest.site_options import SiteOptions
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.tables.conditions import Condition
from fsh.schemas.tables.records import ErrorClass
from fsh.schemas.urls import YOUTUBE

#: ``retry``: which failures of earlier runs are tried again.
RETRIES = {
    "none": frozenset[ErrorClass](),
    "transient": frozenset({ErrorClass.TRANSIENT}),
    "permanent": frozenset({ErrorClass.PERMANENT}),
    "all": frozenset(ErrorClass),
}


@dataclass(frozen=True)
class IngestOptions:
    """How to ingest.

    Attributes:
        copy: copy local files instead of linking to them.
        license: 'any', or 'cc': only what states a Creative Commons licence.
        retry: which failures of earlier runs are tried again: none, transient, permanent, all.
        rate_per_hour: videos an hour from YouTube; 0: no limit.
        host_rate_per_hour: requests an hour to each other host; 0: no limit. Loopback has none.
        rates: requests an hour to named hosts, before the above.
        workers: videos fetched at a time; 0: 8 if any comes from the net, else one per core.
        max_failures: share of failed videos above which the run is a failure.
        attempts: how often one run tries a video that fails for a transient reason.
        site: how video sites are asked; its proxy is for direct links as well.
        ranges: fetch only the wanted ranges of videos on sites.
        only: conditions on the lists' labels; what does not meet them is not asked for.
        limits: when a download is given up on.
        runner, flags: see :class:`fsh.pipeline.engine.runner.Engine`; None is this machine.
        part: the share of the videos that is fetched, by their names; None: all.

    Raises:
        FshError: if an option has a value that it does not know.
    """

    copy: bool = False
    license: str = "any"
    retry: str = "transient"
    rate_per_hour: float = 300.0
    host_rate_per_hour: float = 3600.0
    rates: dict[str, float] = field(default_factory=dict)
    workers: int = 0
    max_failures: float = 0.5
    attempts: int = 3
    site: SiteOptions = field(default_factory=SiteOptions)
    ranges: bool = False
    only: tuple[Condition, ...] = ()
    limits: DownloadLimits = field(default_factory=DownloadLimits)
    runner: str | None = None
    flags: tuple[str, ...] = ()
    part: Part | None = None

    def __post_init__(self) -> None:
        if self.license not in ("any", "cc"):
            raise FshError(f"license is any or cc, not {self.license} (--license)")
        if self.retry not in RETRIES:
            raise FshError(f"retry is {', '.join(RETRIES)}, not {self.retry} (--retry)")
        if self.part and self.runner:
            raise FshError("--part and --runner are two ways to share work out: give one of them")

    def share_of(self, requests: Iterable[Request]) -> list[Request]:
        """The requests that fall to this run: all for one video fall to the same part."""
        if not self.part:
            return list(requests)
        return self.part.by_name(requests, lambda request: request.key)

    def rate_limiter(
        self, data: DataFolder, stopped: Callable[[], bool] = lambda: False
    ) -> RateLimiter:
        """The rate limiter of these rates; all of one data folder share their state."""
        rates = {YOUTUBE: self.rate_per_hour, **self.rates}
        return RateLimiter(data.rate_limits, rates, self.host_rate_per_hour, stopped=stopped)

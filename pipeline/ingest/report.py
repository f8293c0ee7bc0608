"""What an ingest says of itself: the plan before, the link-rot report after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fsh.pipeline.ingest.ledger import Ledger, rows_of
from fsh.pipeline.ingest.requests import Listing, Request
from fsh.schemas import urls
from fsh.schemas.errors import FshError


@dataclass(frozen=True)
class IngestPlan:
    """What the lists ask for, before anything is fetched.

    Attributes:
        hosts: host group → videos; '' is this machine.
        hours: how long the governor makes the slowest host take, at least.
    """

    rows: int
    requests: int
    videos: int
    ranges: int
    playlists: int
    bad_lines: tuple[str, ...]
    notes: tuple[str, ...]
    states: dict[str, int]
    errors: dict[str, int]
    to_fetch: int
    hosts: dict[str, int]
    hours: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "bad_lines": len(self.bad_lines),
            "malformed": list(self.bad_lines),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class IngestReport:
    """What became of the lists' requests, those of earlier runs included.

    Attributes:
        rows: rows of the lists that ask for something; requests: without repetitions.
        videos: different videos; ranges: requests for a part of one.
        states: state → requests; errors: class → requests.
        alive, dead, unreachable, refused: the link-rot report, in videos: stored; gone for good;
            not reached, worth another try; not let in.
        causes: error code → videos.
        fetched: videos that this run tried.
    """

    rows: int
    requests: int
    videos: int
    ranges: int
    bad_lines: tuple[str, ...]
    notes: tuple[str, ...]
    states: dict[str, int]
    errors: dict[str, int]
    alive: int
    dead: int
    unreachable: int
    refused: int
    causes: dict[str, int]
    fetched: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "bad_lines": len(self.bad_lines),
            "malformed": list(self.bad_lines),
            "notes": list(self.notes),
        }


class TooManyFailures(FshError):
    """The run is recorded, and more of it failed than was allowed."""

    report: IngestReport


def make_report(
    listing: Listing, requests: Sequence[Request], ledger: Ledger, fetched: int
) -> IngestReport:
    """The state of these requests in the ledger, whichever run brought it about."""
    rows = rows_of(requests, ledger)
    videos = {urls.source_key(row["url"]): row for row in rows}
    ends = Counter(row["error_class"] or row["state"] for row in videos.values())
    return IngestReport(
        rows=len(listing.requests),
        requests=len(requests),
        videos=len(videos),
        ranges=count_ranges(requests),
        bad_lines=tuple(map(str, listing.bad_lines)),
        notes=tuple(listing.notes),
        states=dict(Counter(row["state"] for row in rows)),
        errors=dict(Counter(row["error_class"] for row in rows if row["error_class"])),
        alive=ends["stored"],
        dead=ends["permanent"],
        unreachable=ends["transient"],
        refused=ends["refused"],
        causes=dict(
            Counter(row["error_code"] for row in videos.values() if row["error_code"]).most_common()
        ),
        fetched=fetched,
    )


def judge(report: IngestReport, max_failures: float) -> None:
    """Raises:
    TooManyFailures: if more failed than allowed; what the user asked to refuse does not count.
    """
    unwanted = sum(report.causes.get(code, 0) for code in ("license", "erased"))
    failures = report.dead + report.unreachable + report.refused - unwanted
    if report.videos and failures > max_failures * report.videos:
        causes = ", ".join(f"{code} {count}" for code, count in report.causes.items())
        error = TooManyFailures(
            f"{failures} of {report.videos} videos could not be had ({causes})",
            remedy="see the error column of sources.parquet; transient causes are tried again by "
            "the next run",
        )
        error.report = report
        raise error


def count_ranges(requests: Sequence[Request]) -> int:
    """Requests for a part of a video."""
    return sum(request.start is not None or request.end is not None for request in requests)

"""What became of the lists' requests: the link-rot report after a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fsh.pipeline.ingest.ledger import Ledger, sources_of
from fsh.pipeline.ingest.lists.requests import Listing, Request
from fsh.schemas.errors import FshError
from fsh.schemas.tables.records import ErrorClass, Source, SourceState


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
        part: such as ``3/40``: all but ``rows`` is of that part alone; empty: of everything.
    """

    rows: int
    requests: int
    videos: int
    ranges: int
    bad_lines: tuple[str, ...]
    notes: tuple[str, ...]
    states: Mapping[SourceState, int]
    errors: Mapping[ErrorClass, int]
    alive: int
    dead: int
    unreachable: int
    refused: int
    causes: Mapping[str, int]
    fetched: int
    part: str = ""

    def to_json(self) -> dict[str, Any]:
        shown = json_of_counts(asdict(self))
        if not self.part:
            del shown["part"]
        return shown


class TooManyFailures(FshError):
    """The run is recorded, and more of it failed than was allowed."""

    report: IngestReport


def make_report(
    listing: Listing, requests: Sequence[Request], ledger: Ledger, fetched: int, part: str = ""
) -> IngestReport:
    """The state of these requests in the ledger, whichever run brought it about."""
    sources = sources_of(requests, ledger)
    videos = {source.fetch_key: source for source in sources}
    ends = Counter(source.error_class or source.state for source in videos.values())
    codes = Counter(source.error_code for source in videos.values() if source.error_code)
    return IngestReport(
        rows=len(listing.requests),
        requests=len(requests),
        videos=len(videos),
        ranges=count_ranges(requests),
        bad_lines=tuple(map(str, listing.bad_lines)),
        notes=tuple(listing.notes),
        states=count_states(sources),
        errors=count_errors(sources),
        alive=ends[SourceState.STORED],
        dead=ends[ErrorClass.PERMANENT],
        unreachable=ends[ErrorClass.TRANSIENT],
        refused=ends[ErrorClass.REFUSED],
        causes=dict(codes.most_common()),
        fetched=fetched,
        part=part,
    )


def require_few_failures(report: IngestReport, max_failures: float) -> None:
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


def count_states(sources: Sequence[Source]) -> dict[SourceState, int]:
    return dict(Counter(source.state for source in sources))


def count_errors(sources: Sequence[Source]) -> dict[ErrorClass, int]:
    return dict(Counter(source.error_class for source in sources if source.error_class))


def json_of_counts(shown: dict[str, Any]) -> dict[str, Any]:
    """The fields of a plan or a report as ``--json`` has them."""
    return shown | {
        "states": {state.value: count for state, count in shown["states"].items()},
        "errors": {kind.value: count for kind, count in shown["errors"].items()},
        "bad_lines": len(shown["bad_lines"]),
        "malformed": list(shown["bad_lines"]),
        "notes": list(shown["notes"]),
    }

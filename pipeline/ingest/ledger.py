"""The ledger of requests: one table, the journals not in it yet, and what is left to do."""

from __future__ import annotations

import errno
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fsh.pipeline.ingest.failures import DiskFull
from fsh.pipeline.ingest.journal import Job, Outcome, journal_files, now, read_journals
from fsh.pipeline.ingest.requests import Request
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas import urls
from fsh.schemas.layout import DataFolder
from fsh.schemas.records import Source
from fsh.schemas.tables import SOURCES, read_table, to_table, write_table

Row = dict[str, Any]

#: ``--retry``: which failures of earlier runs are tried again.
RETRIES = {
    "none": frozenset[str](),
    "transient": frozenset({"transient"}),
    "permanent": frozenset({"permanent"}),
    "all": frozenset({"transient", "permanent", "refused"}),
}


@dataclass
class Plan:
    """What a run has to do: jobs, and the rows that need no fetching."""

    jobs: list[Job] = field(default_factory=list)
    settled: list[Row] = field(default_factory=list)


def row_of(request: Request, outcome: Outcome, first_seen: str = "") -> Row:
    """The ledger's row of one request."""
    row = asdict(outcome) | {
        "request_id": request.request_id,
        "url": request.url,
        "list": request.list,
        "line": request.line,
        "start": request.start,
        "end": request.end,
        "identity": request.identity,
        "bbox": list(request.bbox) if request.bbox else None,
        "bbox_width": request.bbox_width,
        "bbox_height": request.bbox_height,
        "first_seen": first_seen or outcome.last_tried,
    }
    if row["license"] in ("", "unknown") and request.license:
        row["license"] = request.license
    return row


def plan_jobs(
    requests: Sequence[Request], rows: Mapping[str, Row], data: DataFolder, retry: str = "transient"
) -> Plan:
    """Which videos have to be fetched, given what is known of them already.

    A video that is stored and intact is not fetched for a new range or a new label; a local file
    that failed is always looked at again, because that costs nothing.
    """
    known: dict[str, Row] = {}
    for row in rows.values():
        key = urls.source_key(row["url"])
        best = known.get(key)
        if best is None or (row["state"] == "stored", row["last_tried"]) > (
            best["state"] == "stored",
            best["last_tried"],
        ):
            known[key] = row
    groups: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        groups[request.key].append(request)
    plan = Plan()
    for key, wanted in groups.items():
        found = known.get(key)
        if found is None or _again(found, data, retry):
            plan.jobs.append(Job(key, tuple(wanted), found["attempts"] if found else 0))
            continue
        outcome = Outcome.of(found)
        for request in wanted:
            before = rows.get(request.request_id)
            plan.settled.append(row_of(request, outcome, before["first_seen"] if before else now()))
    return plan


def is_intact(row: Mapping[str, Any], data: DataFolder) -> bool:
    """Whether a stored row's file is still there, with the size and time it had."""
    if not row["path"]:
        return False
    path = data.root / row["path"]
    try:
        facts = path.stat()
    except OSError:
        return False
    if facts.st_size != row["bytes"]:
        return False
    modified = json.loads(row["metadata"] or "{}").get("mtime_ns")
    return modified is None or not path.is_symlink() or facts.st_mtime_ns == modified


def _again(row: Row, data: DataFolder, retry: str) -> bool:
    if row["state"] == "stored":
        return not is_intact(row, data)
    local = not urls.is_url(row["url"])
    if retry != "none" and (local or row["error_code"] in ("license", "erased")):
        return True
    return row["error_class"] in RETRIES[retry]


class Ledger:
    """The rows of ``sources.parquet`` and of the journals that are not in it yet."""

    def __init__(self, data: DataFolder) -> None:
        self.data = data
        self.rows: dict[str, Row] = {}
        self.finished: set[str] = set()  # request ids that the journals hold
        if data.sources.exists():
            table = read_table(data.sources, SOURCES)
            self.rows = {row["request_id"]: row for row in table.to_pylist()}
        self.replay()

    def replay(self) -> None:
        """Take in what the journals hold."""
        for record in read_journals(self.data):
            outcome = Outcome(**record["outcome"])
            for wanted in record["requests"]:
                wanted["bbox"] = tuple(wanted["bbox"]) if wanted["bbox"] else None
                row = row_of(Request(**wanted), outcome)
                self.finished.add(row["request_id"])
                self.put(row)

    def put(self, row: Row) -> None:
        before = self.rows.get(row["request_id"])
        if before:
            row = row | {"first_seen": before["first_seen"]}
        self.rows[row["request_id"]] = row

    def compact(self, *, drop_journals: bool) -> None:
        """Write the table; then the journals it holds may go.

        Raises:
            DiskFull: if there is no room for it; the journals stay and nothing is lost.
        """
        erased = Tombstones.read(self.data)
        scrubbed = [erased.scrubbed(Source.from_row(r)).to_row() for r in self.rows.values()]
        known = {row["request_id"]: row for row in scrubbed}
        rows = sorted(known.values(), key=lambda row: (row["list"], row["line"], row["request_id"]))
        try:
            write_table(to_table(rows, SOURCES), self.data.sources, SOURCES)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(self.data.sources) from error
            raise
        if drop_journals:
            for path in journal_files(self.data):
                path.unlink()


def rows_of(requests: Iterable[Request], ledger: Ledger) -> list[Row]:
    """The ledger's rows of these requests; those that no run has finished yet are missing."""
    ids = (request.request_id for request in requests)
    return [ledger.rows[name] for name in ids if name in ledger.rows]

"""The ledger of requests: one table, the journals not in it yet, and what is left to fetch."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from fsh.pipeline.ingest.journal import FetchOutcome, Job, now, read_journals
from fsh.pipeline.ingest.journal_files import remove_journals
from fsh.pipeline.ingest.lists.requests import Request
from fsh.pipeline.ingest.options import RETRIES
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas import urls
from fsh.schemas.places.disk import explaining_refusals
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.locks import taking_turns
from fsh.schemas.places.stores import file_size, is_remote, listing, store_of
from fsh.schemas.tables.parquet import read_sources, write_sources
from fsh.schemas.tables.records import Source, SourceState

#: What a source has of an outcome.
_OUTCOME = tuple(one.name for one in fields(FetchOutcome))


class Ledger:
    """The sources of ``sources.parquet`` and of the journals that are not in it yet.

    Attributes:
        sources: by their request's id.
        finished: ids of the requests that the journals hold.
    """

    def __init__(self, data: DataFolder) -> None:
        self.data = data
        self.sources: dict[str, Source] = {}
        self.finished: set[str] = set()
        if file_size(data.sources) is not None:
            self.sources = {source.request_id: source for source in read_sources(data.sources)}
        self.replay()

    def replay(self, run: str = "") -> None:
        """Take in what a run's journals hold, or all of them."""
        for record in read_journals(self.data, run):
            for request in record.requests:
                source = source_of(request, record.outcome)
                self.finished.add(source.request_id)
                self.put(source)

    def put(self, source: Source) -> None:
        """Add a source, or replace what is known of its request, except when it was first seen."""
        before = self.sources.get(source.request_id)
        if before:
            source = replace(source, first_seen=before.first_seen)
        self.sources[source.request_id] = source

    def compact(self, *, drop_journals: bool) -> None:
        """Write the table; then the journals it holds may go.

        Raises:
            NoRoom: if there is no room for it; the journals stay and nothing is lost.
        """
        erased = Tombstones.read(self.data)
        scrubbed = map(erased.scrubbed, self.sources.values())
        known = {source.request_id: source for source in scrubbed}
        order = sorted(known.values(), key=lambda one: (one.list, one.line, one.request_id))
        with explaining_refusals(self.data.sources):
            write_sources(order, self.data.sources)
        if drop_journals:
            remove_journals(self.data)


def merge_journals(data: DataFolder) -> None:
    """Bring the table up to date while others, such as other parts, may do so as well.

    The journals stay: others may be reading them. A whole run takes them in and drops them.
    """
    with taking_turns(data.lock("table"), where=data.sources):
        Ledger(data).compact(drop_journals=False)


def source_of(request: Request, outcome: FetchOutcome, first_seen: str = "") -> Source:
    """The ledger's entry of one request."""
    if outcome.license in ("", "unknown") and request.license:
        outcome = replace(outcome, license=request.license)
    if request.alone and outcome.file_start is None and outcome.state is not SourceState.STORED:
        outcome = replace(outcome, file_start=request.start or 0.0)
    return Source(
        request_id=request.request_id,
        url=request.url,
        list=request.list,
        line=request.line,
        start=request.start,
        end=request.end,
        identity=request.identity,
        bbox=request.bbox,
        bbox_width=request.bbox_width,
        bbox_height=request.bbox_height,
        labels=request.labels,
        first_seen=first_seen or outcome.last_tried,
        **{name: getattr(outcome, name) for name in _OUTCOME},
    )


def sources_of(requests: Iterable[Request], ledger: Ledger) -> list[Source]:
    """The ledger's entries of these requests; those that no run has finished yet are missing."""
    ids = (request.request_id for request in requests)
    return [ledger.sources[name] for name in ids if name in ledger.sources]


@dataclass
class FetchPlan:
    """What a run has to do: the videos to fetch, and the sources that need no fetching."""

    jobs: list[Job] = field(default_factory=list)
    up_to_date: list[Source] = field(default_factory=list)


def plan_jobs(
    requests: Sequence[Request],
    sources: Mapping[str, Source],
    data: DataFolder,
    retry: str = "transient",
) -> FetchPlan:
    """Which videos have to be fetched, given what is known of them already.

    A video that is stored and intact is not fetched for a new range or a new label; a local file
    that failed is always tried again, because that costs nothing.

    Args:
        sources: what is known, by its request's id.
        retry: a key of :data:`~fsh.pipeline.ingest.options.RETRIES`.
    """
    known: dict[str, Source] = {}
    for source in sources.values():
        key = source.fetch_key
        if key not in known or _rank(source) > _rank(known[key]):
            known[key] = source
    files = StoredFiles(data)
    groups: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        groups[request.fetch_key].append(request)
    plan = FetchPlan()
    for key, wanted in groups.items():
        stored = known.get(wanted[0].key), known.get(key)  # the whole video has every range
        missing = []
        for request in wanted:
            before = sources.get(request.request_id)
            if has := next((s for s in (*stored, before) if s and files.has(s)), None):
                plan.up_to_date.append(_as_found(request, has, before))
            else:
                missing.append(request)
        found = known.get(key)
        if missing and (found is None or _is_fetched_again(found, retry)):
            attempts = found.attempts if found else 0
            plan.jobs.append(Job(wanted[0].key, tuple(missing), attempts))
        elif found:
            plan.up_to_date += [
                _as_found(request, found, sources.get(request.request_id)) for request in missing
            ]
    return plan


class StoredFiles:
    """The videos of a data folder; a store is asked once for all of them."""

    def __init__(self, data: DataFolder) -> None:
        self._data, self._sizes = data, dict[str, int]()
        if is_remote(data.root):
            begin = len(store_of(data.root)[1].rstrip("/")) + 1
            self._sizes = {name[begin:]: size for name, size in listing(data.videos).items()}

    def has(self, source: Source) -> bool:
        """Whether a source's file was stored and is still there, with the size and time it had."""
        if source.state is not SourceState.STORED or not source.path:
            return False
        if is_remote(self._data.root):
            return self._sizes.get(source.path) == source.bytes
        path = self._data.root / source.path
        try:
            facts = path.stat()
        except OSError:
            return False
        if facts.st_size != source.bytes:
            return False
        modified = json.loads(source.metadata or "{}").get("mtime_ns")
        return modified is None or not path.is_symlink() or facts.st_mtime_ns == modified


def _rank(source: Source) -> tuple[bool, str]:
    """Of two sources of one video the greater one tells more: a stored one, or the later try."""
    return source.state is SourceState.STORED, source.last_tried


def _as_found(request: Request, found: Source, before: Source | None) -> Source:
    """The entry of a request that needs no fetching, since ``found`` is of the same file."""
    outcome = FetchOutcome.of_source(found)
    return source_of(request, outcome, before.first_seen if before else now())


def _is_fetched_again(source: Source, retry: str) -> bool:
    """Whether a file that is not there, or not any more, is fetched, given what is known of it."""
    if source.state is SourceState.STORED:
        return True
    local = not urls.is_url(source.url)
    if retry != "none" and (local or source.error_code in ("license", "erased")):
        return True
    return source.error_class in RETRIES[retry]

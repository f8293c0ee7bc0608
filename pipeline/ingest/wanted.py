"""What a run is to fetch: everything in its lists that meets the user's conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fsh.pipeline.ingest.lists.reading import read_lists
from fsh.pipeline.ingest.lists.requests import Listing, Request, ranges_alone, unique
from fsh.pipeline.ingest.options import IngestOptions
from fsh.schemas.errors import FshError
from fsh.schemas.tables.conditions import all_hold, names_found
from fsh.schemas.text import shown


def wanted_requests(lists: Sequence[str], options: IngestOptions) -> tuple[Listing, list[Request]]:
    """What is in the lists, and the requests of it to be fetched, each once.

    Raises:
        FshError: if an option or a list cannot be used, or nothing meets the conditions.
    """
    options.site.check()
    listing = read_lists(lists, options.site.proxy)
    if options.only:
        listing = _filtered(listing, options)
    requests = unique(listing.requests)
    listing.notes += _contradictions(listing.requests, requests)
    return listing, ranges_alone(requests) if options.ranges else requests


def _contradictions(every: Sequence[Request], kept: Sequence[Request]) -> list[str]:
    """A note for the user if rows that ask for the same say that it shows different people."""
    named = {one.request_id: one.identity for one in kept}
    lost = [one for one in every if one.identity and one.identity != named[one.request_id]]
    if not lost:
        return []
    first = lost[0]
    what = f"{first.identity} and later {named[first.request_id]} for {first.url}"
    where = f"{first.list}:{first.line}"
    return [shown(f"{where}: rows name several people for the same, the last counts: {what}")]


def _filtered(listing: Listing, options: IngestOptions) -> Listing:
    chosen = [one for one in listing.requests if all_hold(options.only, one.label)]
    rows = len(listing.requests)
    if not chosen:
        names = names_found([one.labels for one in listing.requests])
        raise FshError(
            f"none of {rows} rows meets the conditions (--only)",
            remedy=f"the labels in these lists are: {names}; identity and license work as well",
        )
    note = f"{rows - len(chosen)} of {rows} rows left out (--only)"
    return replace(listing, requests=chosen, notes=[*listing.notes, note])

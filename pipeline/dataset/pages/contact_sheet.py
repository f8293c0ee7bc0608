"""One HTML page to tune filters by: every clip's scores, what would remain, and the faces."""

from __future__ import annotations

import base64
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute

from fsh.pipeline.dataset.accounting import counted, seconds_of
from fsh.pipeline.dataset.pages.browsing import ClipBrowser
from fsh.pipeline.dataset.pages.clip_pictures import ClipPlace, film_strip, stored_samples
from fsh.pipeline.dataset.settling.selection import wanted_by_labels
from fsh.pipeline.dataset.sources import stored_sources
from fsh.pipeline.pages import render_page
from fsh.schemas.errors import FshError
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.ids import stable_hash
from fsh.schemas.places.layout import SPLITS, DataFolder
from fsh.schemas.places.temporary import replacing
from fsh.schemas.plain import to_plain
from fsh.schemas.progress import Progress
from fsh.schemas.shards.card import DatasetCard, shard_faults
from fsh.schemas.tables.columns import CLIPS
from fsh.schemas.tables.conditions import Condition, names_found
from fsh.schemas.tables.parquet import read_table
from fsh.schemas.tables.records import Clip
from fsh.schemas.throughput import STAGES, Throughput

#: Columns that say which part of a video a row stands for …
_PLACED = [
    *("video_id", "start", "end", "width", "height", "crop_left", "crop_top", "crop_side"),
]
#: … and where every second went.
_ACCOUNTED = ["clip_id", "video_id", "kept", "reason", "error", "cover_start", "cover_end"]
#: Its functions are made as it is imported, where no type checker sees them.
pc: Any = pyarrow.compute
_AGAIN = "run `fsh shard` again"
#: Lines about damage that are said; the page has them all.
_LINES = 10
#: Runs whose time is shown.
_RUNS = 20
#: Frames of a clip on a page that stands alone, by how many clips are shown at most.
_FRAMES = ((400, 10), (1500, 5), (10**9, 2))
#: What a page may do: nothing but run its own script and show what it holds.
_ALONE = "img-src data:; media-src data:"
#: … or what its server gives.
SERVED = "img-src blob:; media-src 'self'; connect-src 'self'"


@dataclass
class DamageReport:
    """What could not be read for the page: of all shards their size, of the clips on it the frames.

    Attributes:
        lines: one for each thing that is damaged.
        shards: paths below the data folder; clips, frames: how many.
    """

    lines: list[str] = field(default_factory=list)
    shards: set[str] = field(default_factory=set)
    clips: int = 0
    frames: int = 0

    def add(self, shard: str, line: str) -> None:
        """Something that is damaged, in one line."""
        self.shards |= {shard} - {""}
        self.lines.append(line)

    def to_json(self) -> dict[str, object]:
        return {"shards": sorted(self.shards), "clips": self.clips, "frames": self.frames}


def summary(table: pa.Table) -> dict[str, Any]:
    """Counts of a table of clips, for people and for ``--json``."""
    names = ("kept", "split", "identity", "samples", "frames", "start", "end", "reason", "video_id")
    accounted = table.select(_ACCOUNTED)
    table = table.select(names)  # the rest, embeddings above all, is large
    kept = table.filter(table["kept"])
    splits: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        part = kept.filter(pc.equal(kept["split"], split))
        seconds = pc.sum(pc.subtract(part["end"], part["start"])).as_py()
        splits[split] = {
            "clips": len(part),
            "identities": len(part["identity"].unique()),
            "samples": pc.sum(part["samples"]).as_py() or 0,
            "frames": pc.sum(part["frames"]).as_py() or 0,
            "seconds": round(seconds or 0),
        }
    clips = [Clip.from_row(row) for row in accounted.to_pylist()]
    rejected, spent = Counter(counted(clips)), seconds_of(clips)
    return {
        "videos": len(table["video_id"].unique()),
        "clips_kept": len(kept),
        "clips_rejected": dict(rejected.most_common()),
        "seconds_in": spent.total,
        "seconds_kept": spent.kept,
        "seconds_rejected": spent.rejected,
        "splits": splits,
    }


def open_browser(
    data: DataFolder, damage: DamageReport, only: Sequence[Condition] = ()
) -> ClipBrowser:
    """The table of clips, to be browsed; a card that cannot be read is added to the damage.

    Args:
        only: conditions on the lists' labels; rows of which no source meets them are left out.

    Raises:
        FshError: if nothing has been sharded yet, or no row is left.
    """
    table = labelled_rows(data, read_table(data.clips, CLIPS), only)
    try:
        spec = DatasetCard.read(data.card).spec
    except FshError as error:
        spec = FaceSpec()
        if data.card.exists():
            damage.lines.append(str(error))
    return ClipBrowser(table, spec)


def labelled_rows(data: DataFolder, table: pa.Table, only: Sequence[Condition]) -> pa.Table:
    """The rows of a table of clips of which a source meets conditions.

    Raises:
        FshError: if there is none; it names the labels that there are.
    """
    if not only:
        return table
    sources = stored_sources(data)
    is_wanted = wanted_by_labels(sources, only)
    rows = table.select(_PLACED).to_pylist()
    found = table.filter(pa.array([is_wanted(Clip.from_row(row)) for row in rows], pa.bool_()))
    if not len(found):
        names = names_found([source.labels for source in sources])
        conditions = ", ".join(map(str, only))
        raise FshError(
            f"no clip is labelled {conditions}", where=data.sources, remedy=f"labels: {names}"
        )
    return found


def make_page(
    data: DataFolder,
    target: Path,
    progress: Progress,
    *,
    limit: int = 5000,
    only: Sequence[Condition] = (),
) -> dict:
    """Write the page. What cannot be read is said, in lines and on the page, which shows the rest.

    Args:
        limit: how many clips have pictures at most; a fixed pseudo-random choice of them.
        only: see :func:`open_browser`.

    Returns:
        The counts that stand on it (see :func:`summary`), and what is ``damaged``.

    Raises:
        FshError: if nothing has been sharded yet.
    """
    damage = DamageReport()
    browser = open_browser(data, damage, only)
    counts = summary(browser.table)
    check_sizes(data, damage)
    strips, pictures = _strips(data, browser.table, damage, progress, limit)
    for line in damage.lines[:_LINES]:
        progress.say(line)
    if len(damage.lines) > _LINES:
        progress.say(f"and {len(damage.lines) - _LINES} more; `fsh shard --check` names them all")
    payload = {**page_data(data, browser, only), "columns": browser.columns(), "strips": strips}
    page = page_html(payload, counts, damage, _ALONE, pictures)
    with replacing(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return {**counts, "damaged": damage.to_json()}


def page_data(
    data: DataFolder, browser: ClipBrowser, only: Sequence[Condition] = ()
) -> dict[str, Any]:
    """What every page is told of a data set."""
    return {
        "thresholds": browser.thresholds(),
        "neighbours": browser.neighbours(),
        "reasons": sorted(set(browser.reason_names) - {""}),
        "total": len(browser.table),
        "only": " ".join(f"--only {shlex.quote(str(one))}" for one in only),
        "throughput": shown_throughput(Throughput.read(data.throughput)),
    }


def shown_throughput(known: Throughput) -> dict[str, Any]:
    """Where the time went, as the page shows it."""
    return {
        "stages": dict(STAGES),
        "analysed": {**to_plain(known.analysed), "per_minute": known.analysed.per_minute},
        "remade": {**to_plain(known.remade), "per_minute": known.remade.per_minute},
        "runs": [
            {
                **to_plain(run),
                "clips_per_second": run.clips_per_second,
                "per_minute": run.analysed.per_minute,
            }
            for run in known.runs[: -_RUNS - 1 : -1]
        ],
    }


def page_html(
    payload: Mapping[str, Any],
    counts: Mapping[str, Any],
    damage: DamageReport,
    allowed: str,
    pictures: str = "",
) -> str:
    """The page as text, with a policy that lets nothing run but its own script.

    Args:
        payload: what its script is told.
        allowed: directives of the policy beyond script and style.
        pictures: the text that ``strips`` of the payload are parts of.
    """
    shown = {"payload": payload, "strips": pictures, "counts": counts, "damage": damage}
    return render_page("fsh.pipeline.dataset.pages", "browse.html.j2", allowed, **shown)


def check_sizes(data: DataFolder, damage: DamageReport) -> None:
    """Add the shards that are missing or of another size than the card says."""
    try:
        card = DatasetCard.read(data.card)
    except FshError:
        return
    for shard, fault in shard_faults(data.root, card.shards):
        damage.add(shard.path, str(fault))


def place_of(table: pa.Table, number: int) -> ClipPlace:
    """Where the clip of a row is stored."""
    names = ("clip_id", "shard", "offset", "bytes")
    clip, shard, offset, size = (table[name][number].as_py() for name in names)
    return ClipPlace(clip or "", shard, offset, size)


def _strips(
    data: DataFolder, table: pa.Table, damage: DamageReport, progress: Progress, limit: int
) -> tuple[dict[str, list[float]], str]:
    """By clip where in a text its pictures and landmarks begin, how long both are, and times.

    The text is apart from what the page's script must read before it can show anything.
    """
    names, samples = table["clip_id"].to_pylist(), table["samples"].to_pylist()
    kept = table["kept"].to_pylist()
    shown = [n for n, name in enumerate(names) if name and (kept[n] or samples[n])]
    shown = sorted(shown, key=lambda n: (not kept[n], stable_hash(names[n])))[:limit]
    frames = next(count for most, count in _FRAMES if len(shown) <= most)
    found: dict[str, list[float]] = {}
    parts: list[str] = []
    at = 0
    progress.start("contact sheet", len(shown), "clip")
    for number in sorted(shown):
        progress.advance()
        place = place_of(table, number)
        if not kept[number] and not data.clip_tars(place.clip_id):
            continue  # a rejected clip whose work was removed has no pictures
        try:
            strip = film_strip(stored_samples(data, place), frames)
        except FshError as error:
            damage.clips += 1
            damage.add(place.shard or "", str(error))
            continue
        if strip.damaged:
            damage.frames += strip.damaged
            what = f"clip {place.clip_id}: {strip.damaged} of {frames} frames cannot be decoded"
            where = data.root / (place.shard or "work")
            damage.add(place.shard or "", str(FshError(what, where=where, remedy=_AGAIN)))
        if strip.jpeg:
            coded = [base64.b64encode(part).decode() for part in (strip.jpeg, strip.points)]
            sizes = [len(part) for part in coded]
            found[place.clip_id] = [at, *sizes, *(round(time, 3) for time in strip.times)]
            parts += coded
            at += sum(sizes)
    progress.stop()
    return found, "".join(parts)

"""What ``fsh inspect`` shows: the table of clips as columns, sorted out by thresholds and words.

The page asks the same of a static file (in its script) as of ``fsh inspect --serve``, which asks
here: which clips remain at given thresholds, why the others do not, how scores are distributed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from fsh.pipeline.dataset.config import FilterConfig
from fsh.pipeline.dataset.settling.filters import THRESHOLDS, columns_of_table
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.tables.records import RejectReason
from fsh.schemas.text import page_text

#: Its functions are made as it is imported, where no type checker sees them.
pc: Any = pyarrow.compute
#: Bars of a histogram.
BARS = 40
#: Shares of the values that a histogram shows at least: the rest may lie far outside.
_SHOWN = (0.2, 99.8)
#: Rows that one answer has at most.
MOST_ROWS = 200
#: Reasons that filters give; others are the analysis's and stay, whatever the thresholds.
_BY_FILTER = {one.reason for one in THRESHOLDS} - {RejectReason.NO_LANDMARKS}
#: Pairs of identities that are shown.
_PAIRS = 60
_LARGEST_GROUP = 4000


def _shown(text: str | None) -> Any:
    """A name as a page shows it: what moves or hides letters is written out."""
    return text if text is None else str(page_text(text))


def _counts(places: np.ndarray) -> list[int]:
    return np.bincount(places, minlength=BARS + 1)[:BARS].tolist()


def _numbers(values: np.ndarray) -> list[float | None]:
    """Numbers for JSON, which has no NaN; rounded to six digits."""
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in values.tolist()]


@dataclass(frozen=True)
class ClipBrowser:
    """A table of clips to be browsed.

    Attributes:
        table: of clips, as :func:`fsh.schemas.tables.parquet.read_table` gives it.
        spec: how they were cropped.
    """

    table: pa.Table
    spec: FaceSpec

    @cached_property
    def measures(self) -> dict[str, np.ndarray]:
        """Of each filter what it measures, float64 (n,)."""
        columns = columns_of_table(self.table)
        return {one.name: one.measure(columns, self.spec) for one in THRESHOLDS}

    @cached_property
    def seconds(self) -> np.ndarray:
        """float64 (n,): how long each clip, or span without one, is."""
        ends, starts = (self.table[name].to_numpy().astype(np.float64) for name in ("end", "start"))
        return np.nan_to_num(ends - starts)

    @cached_property
    def reason_names(self) -> list[str]:
        """What the codes of :meth:`reasons` mean; 0 is kept."""
        given = self.table["reason"].fill_null("").unique().to_pylist()
        return list(dict.fromkeys(["", *(one.reason.value for one in THRESHOLDS), *given]))

    @cached_property
    def fixed(self) -> np.ndarray:
        """int16 (n,): the code of the reason that the analysis gave; 0 where filters decide."""
        codes = pc.index_in(self.table["reason"].fill_null(""), pa.array(self.reason_names))
        # A clip with samples was stored, so whatever rejects it is a filter.
        stored = self.table["samples"].fill_null(0).to_numpy() > 0
        by_filter = np.isin(codes.to_numpy(), [self._code(reason) for reason in _BY_FILTER])
        return np.where(stored | by_filter, 0, codes.to_numpy()).astype(np.int16)

    def _code(self, reason: str) -> int:
        return self.reason_names.index(reason)

    @cached_property
    def edges(self) -> dict[str, tuple[float, float]]:
        """Of each filter the range that its histogram and slider show."""
        found = {}
        for one in THRESHOLDS:
            values = self.measures[one.name]
            values = values[np.isfinite(values)]
            limit = float(getattr(FilterConfig(), one.name))
            low, high = np.percentile(values, _SHOWN) if len(values) else (limit, limit)
            low, high = min(float(low), limit), max(float(high), limit)
            found[one.name] = (low, high if high > low else low + 1.0)
        return found

    def thresholds(self) -> list[dict[str, Any]]:
        """What the page must know of each filter: name, label, default, direction, range."""
        return [
            {
                "name": one.name,
                "label": one.label,
                "reason": one.reason.value,
                "least": one.least,
                "default": getattr(FilterConfig(), one.name),
                "range": self.edges[one.name],
                "known": int(np.isfinite(self.measures[one.name]).sum()),
            }
            for one in THRESHOLDS
        ]

    def reasons(self, limits: Mapping[str, float]) -> np.ndarray:
        """int16 (n,): the code of why each is rejected at these thresholds; 0 where it is kept.

        Args:
            limits: by name; the others are the defaults.
        """
        found, free = self.fixed.copy(), self.fixed == 0
        for one in reversed(THRESHOLDS):
            limit = limits.get(one.name, getattr(FilterConfig(), one.name))
            fails = one.fails(self.measures[one.name], limit)
            found[fails & free] = self._code(one.reason.value)
        return found

    def query(
        self,
        limits: Mapping[str, float],
        *,
        words: str = "",
        view: str = "kept",
        sort: str = "",
        descending: bool = False,
        offset: int = 0,
        count: int = 60,
    ) -> dict[str, Any]:
        """What the page shows at these thresholds.

        Args:
            limits: see :meth:`reasons`.
            words: a part of a video's, clip's or person's name.
            view: ``kept``, ``rejected``, ``all``, or one reason.
            sort: the name of a filter, whose measure orders the rows; others: as they are.
            offset, count: which of the rows are wanted.

        Returns:
            ``kept`` and ``found`` (numbers), ``seconds`` by reason ("" is kept), ``bars`` by filter
            ([kept, all] of each), ``rows``.
        """
        reasons = self.reasons(limits)
        kept = reasons == 0
        shown = self._matching(words)
        if view == "kept":
            shown &= kept
        elif view == "rejected":
            shown &= ~kept
        elif view != "all":
            shown &= reasons == (self._code(view) if view in self.reason_names else -1)
        order = np.flatnonzero(shown)
        if sort in self.measures:
            values = self.measures[sort][order]
            key = np.where(np.isfinite(values), -values if descending else values, np.inf)
            order = order[np.argsort(key, kind="stable")]
        page = order[offset : offset + min(count, MOST_ROWS)]
        sums = np.bincount(reasons, self.seconds, len(self.reason_names))
        return {
            "kept": int(kept.sum()),
            "found": len(order),
            "seconds": {
                name: round(float(total), 1)
                for name, total in zip(self.reason_names, sums, strict=True)
                if total
            },
            "bars": self._bars(kept),
            "rows": [self.row(int(number), self.reason_names[reasons[number]]) for number in page],
        }

    def _matching(self, words: str) -> np.ndarray:
        if not words.strip():
            return np.ones(len(self.table), bool)
        found = np.zeros(len(self.table), bool)
        for name in ("clip_id", "video_id", "identity"):
            names = self.table[name].combine_chunks().dictionary_encode()
            hits = pc.match_substring(names.dictionary, words.strip(), ignore_case=True)
            chosen = np.append(np.asarray(hits, bool), False)
            found |= chosen[names.indices.fill_null(len(hits)).to_numpy()]
        return found

    @cached_property
    def _places(self) -> dict[str, np.ndarray]:
        """Of each filter the bar that each clip is in, int8 (n,); :data:`BARS` for none."""
        found = {}
        for name, values in self.measures.items():
            low, high = self.edges[name]
            places = np.where(np.isfinite(values), (values - low) / (high - low) * BARS, np.inf)
            inside = np.isfinite(places)
            places[inside] = places[inside].clip(0, BARS - 1)
            found[name] = np.where(inside, places, BARS).astype(np.int8)
        return found

    @cached_property
    def _all_bars(self) -> dict[str, list[int]]:
        return {name: _counts(places) for name, places in self._places.items()}

    def _bars(self, kept: np.ndarray) -> dict[str, list[list[int]]]:
        every = kept.all()
        return {
            name: [self._all_bars[name] if every else _counts(places[kept]), self._all_bars[name]]
            for name, places in self._places.items()
        }

    def row(self, number: int, reason: str) -> dict[str, Any]:
        """One clip as the page shows it."""
        names = ("clip_id", "video_id", "identity", "split", "start", "end", "fps", "frames")
        row = {name: self.table[name][number].as_py() for name in (*names, "duplicate_of", "error")}
        values = {name: values[number] for name, values in self.measures.items()}
        scores = dict(zip(values, _numbers(np.array([*values.values()])), strict=True))
        row |= {name: _shown(row[name]) for name in ("identity", "error")}
        return {"number": number, **row, "reason": reason, "scores": scores}

    def columns(self) -> dict[str, Any]:
        """All rows as columns, for a page that stands alone."""
        names = ("clip_id", "video_id", "identity", "split", "start", "end", "fps", "frames")
        return {
            **{name: self.table[name].to_pylist() for name in (*names, "duplicate_of")},
            "error": [_shown(text) for text in self.table["error"].to_pylist()],
            "identity": [_shown(text) for text in self.table["identity"].to_pylist()],
            "fixed": [self.reason_names[code] for code in self.fixed.tolist()],
            "seconds": _numbers(self.seconds),
            "scores": {name: _numbers(values) for name, values in self.measures.items()},
        }

    def neighbours(self) -> list[dict[str, Any]]:
        """Identities and their nearest of another name, those in two splits first.

        One person under two names is found here. At most :data:`_LARGEST_GROUP` identities, those
        with the most clips, are compared.
        """
        kept = self.table.select(("identity", "split", "clip_id", "embedding"))
        kept = kept.filter(pc.and_(self.table["kept"], self.table["embedding"].is_valid()))
        if not len(kept):
            return []
        faces = kept["embedding"].combine_chunks().flatten().to_numpy().reshape(len(kept), -1)
        names = kept["identity"].fill_null("").combine_chunks().dictionary_encode()
        people, of = names.dictionary.to_pylist(), names.indices.to_numpy()
        counts = np.bincount(of, minlength=len(people))
        means = np.zeros((len(people), faces.shape[1]), np.float32)
        np.add.at(means, of, faces)
        means /= counts[:, None]
        first = np.zeros(len(people), int)
        first[of[::-1]] = np.arange(len(of))[::-1]
        some = np.argsort(-counts, kind="stable")[:_LARGEST_GROUP]
        if len(some) < 2:
            return []
        squares = (means[some] ** 2).sum(axis=1)
        gaps = squares[:, None] + squares[None] - 2 * means[some] @ means[some].T
        np.fill_diagonal(gaps, np.inf)
        splits, clips = kept["split"], kept["clip_id"]
        pairs = {}
        for i, j in enumerate(gaps.argmin(axis=1).tolist()):
            one, other = sorted((int(some[i]), int(some[j])))
            sides = [
                {
                    "identity": _shown(people[n]),
                    "split": splits[int(first[n])].as_py(),
                    "clip": clips[int(first[n])].as_py(),
                }
                for n in (one, other)
            ]
            distance = round(float(np.sqrt(max(gaps[i, j], 0))), 3)
            across = sides[0]["split"] != sides[1]["split"]
            pairs[one, other] = {"distance": distance, "across": across, "sides": sides}
        return sorted(pairs.values(), key=lambda p: (not p["across"], p["distance"]))[:_PAIRS]

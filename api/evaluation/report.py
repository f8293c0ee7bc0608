"""What an evaluation leaves to read: JSON, a Markdown table as the paper's, one HTML page."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from fsh.marking import Marking
from fsh.pipeline.pages import render_page
from fsh.pipeline.provenance.manifest import Claims
from fsh.pipeline.provenance.signing import Signer
from fsh.pipeline.provenance.watermark import Watermark
from fsh.schemas.ids import stable_hash
from fsh.schemas.places.run_layout import EvaluationFolder
from fsh.schemas.places.temporary import replacing
from fsh.schemas.text import markdown as in_markdown
from fsh.schemas.text import one_line
from fsh.trainer.data.pictures import resized
from fsh.trainer.evaluation.evaluation import EvaluationResult
from fsh.trainer.evaluation.metrics import TURN
from fsh.trainer.evaluation.results_table import ALL_FRAMES, TURNED_FRAMES, ResultRow
from fsh.trainer.evaluation.subjects import choose_shots

#: Identities shown as strips.
STRIPS = 8
#: What ``better`` means.
_BETTER = {
    "higher": "higher is better",
    "lower": "lower is better",
    "1": "1 is the true frames' own",
}
#: What stands above a table of :data:`TURNED_FRAMES`.
_TURNED = f"Heads turned by more than {TURN:.0f}° away from every photo"


def write_report(
    folder: Path,
    outcome: EvaluationResult,
    rows: Sequence[ResultRow],
    about: dict[str, Any],
    signer: Signer,
) -> dict[str, str]:
    """Write ``<protocol>.json``, ``<protocol>.md`` and ``<protocol>.html``; their paths.

    Strips of pictures are marked as everything fsh draws is, and lie in ``strips/`` too.
    """
    protocol = outcome.settings.protocol
    marks, place = report_marking(about, signer), EvaluationFolder(folder)
    strips = [
        (name, _strip(outcome, name, place.strips / f"{protocol}-{i:02d}.png", marks))
        for i, name in enumerate([s.identity for s in outcome.subjects][:STRIPS])
    ]
    pages = {
        "json": json.dumps({"results": [row.to_json() for row in rows], **about}, indent=1) + "\n",
        "md": markdown(rows, about),
        "html": html_page(rows, about, outcome.systems, strips),
    }
    for kind, text in pages.items():
        with replacing(place.report(protocol, kind)) as temporary:
            temporary.write_text(text, encoding="utf-8")
    names = {"json": "json_file", "md": "table", "html": "page"}
    return {names[kind]: str(place.report(protocol, kind)) for kind in pages}


def report_marking(about: dict[str, Any], signer: Signer) -> Marking:
    """Marks that name the runs that drew."""
    payload = stable_hash(json.dumps(about["runs"])) & 0xFFFFFFFF
    claims = Claims(made_from={str(k): str(v) for k, v in about["runs"].items()}, watermark=payload)
    return Marking(Watermark(payload), claims, signer)


def markdown(rows: Sequence[ResultRow], about: dict[str, Any]) -> str:
    """The table: a block per T, a line per system, a column per metric, as in the paper."""
    computed = [row for row in rows if row.value is not None]
    metrics = list(dict.fromkeys(row.title for row in computed))
    lines = [f"# {title_of(about)}, protocol `{about['protocol']}`", ""]
    lines += [_arrows(rows, metrics)]
    for shots in dict.fromkeys(row.shots for row in rows):
        own = [row for row in rows if row.shots == shots]
        lines += ["", f"## T = {shots}", ""]
        lines += _table([row for row in own if row.frames == ALL_FRAMES], metrics)
        if turned := [row for row in own if row.frames == TURNED_FRAMES]:
            lines += ["", f"### {_TURNED}", "", *_table(turned, metrics)]
    lines += ["", "Values with 95 % bootstrap intervals over identities.", ""]
    lines += ["| metric | backbone | pictures | identities | compared |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    for metric in metrics:
        row = next(r for r in computed if r.title == metric)
        lines.append(f"| {metric} | {row.backbone} | {row.n} | {row.identities} | {row.crop} |")
    if missing := _missing(rows):
        lines += ["", "Not computed:", ""]
        lines += [f"- {title}: {why}" for title, why in missing.items()]
    lines += ["", "Made with:", ""]
    for name, value in about.items():
        if value != {}:
            lines.append(f"- {name.replace('_', ' ')}: {in_markdown(_plain(value))}")
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[ResultRow], metrics: Sequence[str]) -> Iterator[str]:
    """The lines of a table, a line per system."""
    yield "| system | frames | " + " | ".join(metrics) + " |"
    yield "| --- | --- |" + " --- |" * len(metrics)
    for system in dict.fromkeys(row.system for row in rows):
        own = {row.title: row for row in rows if row.system == system}
        cells = [format_value(own[m]) if m in own else "–" for m in metrics]
        frames = next(iter(own.values())).drawn
        yield f"| {in_markdown(system)} | {frames} | " + " | ".join(cells) + " |"


def title_of(about: dict[str, Any]) -> str:
    """What the tables are of: people that the runs saw are named in the title."""
    return f"Evaluation of {about['people']}" if about.get("trained_on") else "Evaluation"


def format_value(row: ResultRow) -> str:
    """A number with its interval, such as ``0.612 (0.58 to 0.64)``; a dash if there is none."""
    if row.value is None:
        return "–"
    digits = 3 if abs(row.value) < 10 else 1
    if row.low is None or row.high is None:
        return f"{row.value:.{digits}f}"
    return f"{row.value:.{digits}f} ({row.low:.{digits}f} to {row.high:.{digits}f})"


def _arrows(rows: Sequence[ResultRow], metrics: Sequence[str]) -> str:
    better = {row.title: row.better for row in rows}
    return "; ".join(f"{metric}: {_BETTER[better[metric]]}" for metric in metrics) + "."


def _missing(rows: Sequence[ResultRow]) -> dict[str, str]:
    """Title to reason of what was computed for no system; a dash stands where only some lack it."""
    computed = {row.title for row in rows if row.value is not None}
    return {row.title: row.missing for row in rows if row.title not in computed}


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{one_line(k)}: {_plain(v)}" for k, v in value.items())
    if isinstance(value, list):
        return " + ".join(map(one_line, value))
    return one_line(value)


def html_page(
    rows: Sequence[ResultRow],
    about: dict[str, Any],
    systems: Sequence[str],
    strips: Sequence[tuple[str, str]],
) -> str:
    """The HTML page; it stands alone."""
    return render_page(
        "fsh.evaluation",
        "report.html.j2",
        title=title_of(about),
        about={n.replace("_", " "): _plain(value) for n, value in about.items() if value != {}},
        protocol=about["protocol"],
        plots=list(plots(rows, systems)),
        systems=[(name, color(i)) for i, name in enumerate(systems)],
        shots=list(dict.fromkeys(row.shots for row in rows)),
        metrics=list(dict.fromkeys(row.title for row in rows if row.value is not None)),
        values={(r.shots, r.frames, r.system, r.title): format_value(r) for r in rows},
        frames={(r.shots, r.frames, r.system): r.drawn for r in rows},
        parts=[(ALL_FRAMES, ""), (TURNED_FRAMES, _TURNED)],
        better=_BETTER,
        missing=_missing(rows),
        backbones={
            r.title: (r.backbone, r.n, r.identities, r.crop)
            for r in rows
            if r.value is not None and r.frames == ALL_FRAMES
        },
        strips=strips,
    )


def color(i: int) -> str:
    """Colours that stay apart in either colour scheme and for most eyes (Okabe and Ito)."""
    palette = (
        "#0072B2",
        "#D55E00",
        "#009E73",
        "#CC79A7",
        "#E69F00",
        "#56B4E9",
        "#8a8a8a",
        "#8C6D1F",
    )
    return palette[i % len(palette)]


def plots(rows: Sequence[ResultRow], systems: Sequence[str]) -> Iterator[dict[str, Any]]:
    """For each metric of all frames: lines of (x, y) in a box of 300 by 160, and the axis' ends.

    T lies on a logarithmic axis; intervals are drawn as bars.
    """
    wide, high, left, top = 300.0, 160.0, 46.0, 12.0
    rows = [row for row in rows if row.frames == ALL_FRAMES]
    for title in dict.fromkeys(row.title for row in rows if row.value is not None):
        own = [row for row in rows if row.title == title and row.value is not None]
        ends = [v for r in own for v in (r.value, r.low, r.high) if v is not None]
        low, most = min(ends), max(ends)
        span = (most - low) or 1.0
        shots = sorted({row.shots for row in own})
        reach = math.log2(shots[-1] / shots[0]) or 1.0

        def place(shot: int, value: float) -> tuple[float, float]:
            x = left + wide * (math.log2(shot / shots[0]) / reach if len(shots) > 1 else 0.5)  # noqa: B023
            return round(x, 1), round(top + high * (1 - (value - low) / span), 1)  # noqa: B023

        lines = []
        for i, system in enumerate(systems):
            points = sorted((r.shots, r) for r in own if r.system == system)
            # Systems stand a little apart, so that their bars do not hide one another.
            aside = (i - (len(systems) - 1) / 2) * 3
            dots = []
            for shot, row in points:
                x, y = place(shot, row.value or 0.0)
                bar = None
                if row.low is not None and row.high is not None:
                    bar = (place(shot, row.low)[1], place(shot, row.high)[1])
                dots.append(
                    {
                        "x": x + aside,
                        "y": y,
                        "bar": bar,
                        "tip": f"{system}, T = {shot}: {format_value(row)}",
                    }
                )
            lines.append({"name": system, "color": color(i), "dots": dots})
        ticks = [(place(shot, low)[0], shot) for shot in shots]
        yield {
            "title": title,
            "better": own[0].better,
            "lines": lines,
            "ticks": ticks,
            "low": f"{low:.3g}",
            "high": f"{most:.3g}",
        }


def _strip(outcome: EvaluationResult, identity: str, path: Path, marks: Marking) -> str:
    """One person: a row per T with a source photo, the driver, each system; as a data URI.

    Pictures have the size they were compared at.
    """
    setting = outcome.settings
    side = setting.size
    subject = next(s for s in outcome.subjects if s.identity == identity)
    frames = subject.load()
    real = outcome.reference_pictures(identity)
    at = len(real) // 2
    header = [
        "one of T photos",
        "true" if setting.self_reenactment else "driver",
        *outcome.systems,
    ]
    rows = [np.concatenate([_label(text, side) for text in header], axis=1)]
    for shots in setting.shots:
        first = choose_shots(identity, len(frames.inputs), shots, setting.seed)[0]
        tiles = [frames.inputs.frames[first], real[at]]
        tiles += [outcome.pictures(name, shots, identity)[at] for name in outcome.systems]
        rows.append(np.concatenate([resized(tile, side) for tile in tiles], axis=1))
    with replacing(path) as temporary:
        Image.fromarray(np.concatenate(rows)).save(temporary, format="PNG")
    marks.picture(path)
    return data_uri(path.read_bytes(), "png")


def _label(text: str, side: int) -> np.ndarray:
    strip = np.full((20, side, 3), 255, np.uint8)
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.38
    return cv2.putText(strip, text, (3, 14), font, scale, (0, 0, 0), 1, cv2.LINE_AA)


def data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64," + base64.b64encode(content).decode()

"""``fsh verify``: what a file says about itself, and whether it can be believed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fsh.cli import console, options
from fsh.schemas.text import sentence, shown

if TYPE_CHECKING:
    from fsh.verification import Verification


def verify(
    files: Annotated[list[Path], typer.Argument(help="Films and pictures, fsh's or anybody's.")],
    trust: Annotated[
        list[Path] | None,
        typer.Option("--trust", help="PEM file of a certificate authority to trust as well."),
    ] = None,
    watermark_key: options.WatermarkKey = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Read the C2PA manifest and the watermark of files.

    The manifest is valid, of an untrusted signer (unchanged, but not signed here or by whom
    `--trust` names), tampered or absent. The watermark survives re-encoding, the manifest does
    not. Exit status 0 only if every file has both, they agree, and nothing was changed since.

    Example: `fsh verify out.mp4`
    """
    from fsh.verification import verify as read_marks

    results = []
    with console.progress(quiet) as bar:
        bar.start("verifying", len(files), "file")
        for file in files:
            results.append(read_marks(file, trust=trust or (), watermark_key=watermark_key))
            bar.advance(note=file.name)
    if json:
        found = [result.to_json() for result in results]
        console.show_result({"files": found}, as_json=True, title="")
    else:
        for result in results:
            console.out.print(in_words(result), soft_wrap=True)
    if not all(result.ok for result in results):
        raise typer.Exit(1)


def in_words(result: Verification) -> str:
    """One file's result in one line for people."""
    mark, state = result.watermark, result.c2pa
    parts = [f"C2PA {state}"]
    if result.signer:
        parts[0] += f", signed by {result.signer}"
    if state == "tampered" and result.c2pa_detail:
        parts[0] += f" ({result.c2pa_detail})"
    if mark.present:
        agrees = {True: ", as the manifest says", False: ", not the manifest's", None: ""}
        chance = f"chance {mark.p_value:.0e}" if mark.p_value else "beyond chance"
        parts.append(f"watermark {mark.payload} ({chance}){agrees[mark.agrees]}")
    else:
        parts.append("no watermark found")
    consent = result.consent
    if isinstance(consent, dict):
        scope = ", ".join(map(str, consent.get("scope", [])))
        about = f"{consent.get('who')} (by {consent.get('by')}): {scope}"
        consent = f"{about}, until {consent.get('until')}"
    if state != "absent":
        parts.append(f"consent {consent}")
    if result.says:
        parts.append(result.says)
    verdict = "marked and intact" if result.ok else "NOT marked and intact"
    return f"{shown(result.file)}: {verdict}: " + sentence(" · ".join(parts))

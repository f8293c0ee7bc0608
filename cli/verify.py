"""``fsh verify``: what a file says about itself, and whether it can be believed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fsh import marking
from fsh.cli import console, options

if TYPE_CHECKING:
    import numpy as np

    from fsh.pipeline.provenance.manifest import Manifest
    from fsh.pipeline.provenance.watermark_detection import WatermarkDetection


def verify(
    files: Annotated[list[Path], typer.Argument(help="Films and pictures, fsh's or anybody's.")],
    trust: Annotated[
        list[Path] | None,
        typer.Option("--trust", help="PEM file of a certificate authority to trust as well."),
    ] = None,
    watermark_key: marking.WatermarkKey = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Read the C2PA manifest and the watermark of files.

    The manifest is valid, of an untrusted signer (unchanged, but not signed here or by whom
    `--trust` names), tampered or absent. The watermark survives re-encoding, the manifest does
    not. Exit status 0 only if every file has both, they agree, and nothing was changed since.

    Example: `fsh verify out.mp4`
    """
    with console.progress(quiet) as bar:
        results = []
        bar.start("verifying", len(files), "file")
        for path in files:
            results.append(examine(path, trust or [], marking.key_of(watermark_key)))
            bar.advance(note=path.name)
    if json:
        console.show_result({"files": results}, as_json=True, title="")
    else:
        for result in results:
            console.out.print(in_words(result), markup=False, soft_wrap=True)
    if not all(result["marked"] and result["intact"] for result in results):
        raise typer.Exit(1)


def examine(path: Path, trust: list[Path], key: bytes | None = None) -> dict[str, Any]:
    """Everything about one file, JSON values; a file that tells nothing says why in ``says``.

    Args:
        key: a private watermark key, tried before the public one.
    """
    from fsh.pipeline.provenance.manifest import Manifest, ManifestState, read_manifest
    from fsh.pipeline.provenance.watermark import PUBLIC_KEY
    from fsh.pipeline.provenance.watermark_detection import detect_watermark
    from fsh.schemas.errors import FshError

    manifest, found, says = Manifest(ManifestState.ABSENT), None, ""
    try:
        manifest = read_manifest(path, trust)
        for tried in filter(None, (key, PUBLIC_KEY)):
            found = detect_watermark(frames_of(path), tried)
            if found.present:
                break
    except FshError as error:
        says = f"{error.where}: {error.what}" if error.where != str(path) else error.what
    result = judge(manifest, found)
    if manifest.claims.get("watermark_key") == "private" and not result["watermark"]["present"]:
        says = says or "its watermark is read with a private key: give it as --watermark-key"
        result |= {"watermark": result["watermark"] | {"agrees": None}, "intact": manifest.intact}
    return {"file": str(path), **result, "says": says}


def judge(manifest: Manifest, found: WatermarkDetection | None) -> dict[str, Any]:
    """Manifest and watermark together.

    ``intact`` is None where there is no manifest to hold the file against; ``agrees`` likewise.
    """
    claimed = manifest.claims.get("watermark")
    read = f"{found.payload:08x}" if found and found.present else None
    agrees = (claimed == read) if manifest.claims else None
    known = manifest.state != "absent"
    return {
        "c2pa": manifest.state,
        "c2pa_detail": manifest.detail,
        "signer": manifest.signer,
        "generator": manifest.generator,
        "ai_generated": manifest.ai_generated,
        "made_from": manifest.claims.get("made_from", {}),
        "watermark": {
            "present": read is not None,
            "payload": read,
            "p_value": found.p_value if found else None,
            "agrees": agrees,
        },
        "consent": manifest.claims.get("consent", "unknown"),
        "intact": (manifest.intact and agrees is not False) if known else None,
        "marked": manifest.ai_generated and read is not None,
    }


def frames_of(path: Path) -> Iterator[np.ndarray]:
    """A picture's one frame, or a video's with a shorter side of 256 px at most; uint8 RGB.

    Raises:
        FshError: if it is neither.
    """
    import cv2
    import numpy as np
    from PIL import Image

    from fsh.pipeline.media.decode import proxy_size, read_proxy
    from fsh.pipeline.media.probe import probe
    from fsh.schemas.errors import FshError

    try:
        with Image.open(path) as picture:
            yield np.asarray(picture.convert("RGB"))
            return
    except Image.UnidentifiedImageError:
        pass  # then it may be a video
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FshError(f"not a readable picture ({error})", where=path) from error
    facts = probe(path)
    size = proxy_size(facts.width, facts.height, 256)
    for frame in read_proxy(path, size):
        yield cv2.cvtColor(frame.pixels, cv2.COLOR_YUV2RGB_I420)


def in_words(result: dict[str, Any]) -> str:
    """One file's result in one line for people."""
    mark, state = result["watermark"], result["c2pa"]
    parts = [f"C2PA {state}"]
    if result["signer"]:
        parts[0] += f", signed by {result['signer']}"
    if state == "tampered" and result["c2pa_detail"]:
        parts[0] += f" ({result['c2pa_detail']})"
    if mark["present"]:
        agrees = {True: ", as the manifest says", False: ", not the manifest's", None: ""}
        chance = f"chance {mark['p_value']:.0e}" if mark["p_value"] else "beyond chance"
        parts.append(f"watermark {mark['payload']} ({chance}){agrees[mark['agrees']]}")
    else:
        parts.append("no watermark found")
    consent = result["consent"]
    if isinstance(consent, dict):
        scope = ", ".join(map(str, consent.get("scope", [])))
        consent = f"{consent.get('who')} (by {consent.get('by')}): {scope}"
        consent += f", until {result['consent'].get('until')}"
    if state != "absent":
        parts.append(f"consent {consent}")
    if result["says"]:
        parts.append(result["says"])
    good = result["marked"] and result["intact"]
    verdict = "marked and intact" if good else "NOT marked and intact"
    return f"{result['file']}: {verdict}: " + " · ".join(parts)

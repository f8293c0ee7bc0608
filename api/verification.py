"""What a file says about itself, and whether it can be believed: manifest and watermark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageSequence

from fsh.defaults import AnyPath, as_paths
from fsh.marking import key_of
from fsh.pipeline.media.decode import proxy_size, read_proxy
from fsh.pipeline.media.media_kind import PICTURE, VIDEO, media_kind
from fsh.pipeline.media.pictures import read_photo
from fsh.pipeline.media.probe import probe
from fsh.pipeline.provenance.manifest import Manifest, ManifestState, read_manifest
from fsh.pipeline.provenance.media_types import manifest_beside, needs_manifest_beside
from fsh.pipeline.provenance.watermark import PUBLIC_KEY
from fsh.pipeline.provenance.watermark_detection import WatermarkDetection, detect_watermark
from fsh.schemas.errors import FshError
from fsh.schemas.text import shown

#: Pixels of a video's shorter side when its watermark is read.
_SIDE = 256


@dataclass(frozen=True)
class WatermarkReading:
    """The watermark of a file.

    Attributes:
        payload: 8 hex digits, the first of a person's card's SHA-256; None if there is none.
        p_value: bound on the probability that an unmarked file looks this marked.
        agrees: whether the manifest names this payload; None if it names none.
    """

    present: bool
    payload: str | None
    p_value: float | None
    agrees: bool | None


@dataclass(frozen=True)
class Verification:
    """Manifest and watermark of a file together.

    Attributes:
        c2pa: state of the manifest: ``valid``, ``untrusted signer``, ``tampered`` or ``absent``.
        c2pa_detail: why, in C2PA's own codes; empty if valid.
        signer: common name in the certificate; empty if there is none.
        generator: the tool that made the claim, with its version.
        ai_generated: whether the manifest says so.
        made_from: SHA-256 by what it is of: ``person``, ``model``, ``dataset``.
        consent: the statement, ``not stated``, or ``unknown`` where there is no manifest of fsh's.
        intact: whether nothing was changed since it was signed; None: there is no manifest.
        marked: whether the manifest says AI-generated and the watermark is there.
        says: why nothing could be read, or empty.
    """

    file: str
    c2pa: str
    c2pa_detail: str
    signer: str
    generator: str
    ai_generated: bool
    made_from: dict[str, str]
    watermark: WatermarkReading
    consent: str | dict[str, Any]
    intact: bool | None
    marked: bool
    says: str = ""

    @property
    def ok(self) -> bool:
        """Marked, and not changed since."""
        return self.marked and bool(self.intact)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def verify(
    file: AnyPath,
    *,
    trust: AnyPath | Sequence[AnyPath] = (),
    watermark_key: AnyPath | None = None,
) -> Verification:
    """Read the C2PA manifest and the watermark of a film or picture, fsh's or anybody's.

    Args:
        trust: PEM files of certificate authorities to trust besides this installation's own.
        watermark_key: file with a private watermark key, tried before the public one.

    Returns:
        Everything about the file; if it cannot be read, ``says`` says why.

    Raises:
        FshError: if the key cannot be used.
    """
    path, key = Path(file), key_of(watermark_key)
    manifest, found, says = Manifest(ManifestState.ABSENT), None, ""
    try:
        if path.exists() and not path.is_file():
            raise FshError("neither a video nor a picture, but a folder or a pipe", where=path)
        manifest = read_manifest(path, as_paths(trust))
        for tried in filter(None, (key, PUBLIC_KEY)):
            found = detect_watermark(frames_of(path), tried)
            if found.present:
                break
    except FshError as error:
        says = f"{shown(error.where)}: {error.what}" if error.where != str(path) else error.what
    says = says or _without_manifest(path, manifest)
    result = replace(combined(path, manifest, found), says=says)
    if manifest.claims.get("watermark_key") == "private" and not result.watermark.present:
        return replace(
            result,
            says=says or "its watermark is read with a private key: give it as --watermark-key",
            watermark=replace(result.watermark, agrees=None),
            intact=manifest.intact,
        )
    return result


def _without_manifest(path: Path, manifest: Manifest) -> str:
    """Where the manifest of a file should be that has no place for it, and is not."""
    if manifest.state != ManifestState.ABSENT or not needs_manifest_beside(path):
        return ""
    return f"such a file holds no manifest, and there is no {manifest_beside(path).name} beside it"


def combined(path: Path, manifest: Manifest, found: WatermarkDetection | None) -> Verification:
    """What a manifest and a watermark say together; ``found``: None if it was not looked for."""
    claimed = manifest.claims.get("watermark")
    payload = f"{found.payload:08x}" if found and found.present else None
    agrees = (claimed == payload) if manifest.claims else None
    return Verification(
        file=str(path),
        c2pa=manifest.state,
        c2pa_detail=manifest.detail,
        signer=manifest.signer,
        generator=manifest.generator,
        ai_generated=manifest.ai_generated,
        made_from=manifest.claims.get("made_from", {}),
        watermark=WatermarkReading(
            present=payload is not None,
            payload=payload,
            p_value=found.p_value if found else None,
            agrees=agrees,
        ),
        consent=manifest.claims.get("consent", "unknown"),
        intact=None
        if manifest.state == ManifestState.ABSENT
        else manifest.intact and agrees is not False,
        marked=manifest.ai_generated and payload is not None,
    )


def frames_of(path: Path) -> Iterator[np.ndarray]:
    """A picture's frames, of which a GIF has several, or a video's; uint8 (H, W, 3) RGB.

    A video's have a shorter side of 256 px at most.

    Raises:
        FshError: if it is neither.
    """
    kind = media_kind(path)
    if kind != VIDEO:
        try:
            if animation := _frames_of_animation(path):
                yield from animation
                return
            yield read_photo(path, upright=False)  # as it was marked
            return
        except FshError:
            if kind == PICTURE:
                raise
    facts = probe(path)
    size = proxy_size(facts.width, facts.height, _SIDE)
    for frame in read_proxy(path, size):
        yield cv2.cvtColor(frame.pixels, cv2.COLOR_YUV2RGB_I420)


def _frames_of_animation(path: Path) -> Iterator[np.ndarray] | None:
    """The frames of an animated picture, uint8 RGB; None if it has one frame or is no picture."""
    try:
        picture = Image.open(path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if getattr(picture, "n_frames", 1) < 2:
        picture.close()
        return None
    return (np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(picture))

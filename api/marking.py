"""Marks on what fsh draws: the watermark in the pixels, the manifest in the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np

    from fsh.pipeline.provenance.manifest import Claims
    from fsh.pipeline.provenance.signing import Signer
    from fsh.pipeline.provenance.watermark import Watermark

NoMark = Annotated[
    bool,
    typer.Option("--no-mark", help="No watermark and no manifest; the person's card records it."),
]
SigningKey = Annotated[
    Path | None,
    typer.Option(
        "--signing-key",
        help="PEM file with certificates and key to sign with; default: this installation's.",
    ),
]
WatermarkKey = Annotated[
    Path | None,
    typer.Option(
        "--watermark-key",
        envvar="FSH_WATERMARK_KEY",
        help="File with a secret of 16 bytes or more: only who has it reads the watermark; "
        "default: everyone.",
    ),
]

_LEAST = 256  # pixels: a smaller picture has no room for a watermark


@dataclass(frozen=True)
class Marking:
    """What is put on everything one person appears in."""

    watermark: Watermark
    claims: Claims
    signer: Signer

    def frames(self, pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Marked pictures, uint8 (H, W, 3); those with a side below 256 px enlarged first."""
        return (self.watermark.mark(enlarged(picture)) for picture in pictures)

    def sign(self, drawn: Path, to: Path) -> None:
        """Sign a finished file into its place and remove the unsigned one."""
        from fsh.pipeline.provenance.manifest import sign_file

        try:
            sign_file(drawn, self.claims, self.signer, to=to)
        finally:
            drawn.unlink(missing_ok=True)

    def picture(self, path: Path) -> None:
        """Mark and sign a PNG in its place."""
        from PIL import Image

        with Image.open(path) as file:
            (marked,) = self.frames([_pixels(file)])
        drawn = unsigned(path)
        Image.fromarray(marked).save(drawn)
        self.sign(drawn, path)


def signer_of(signing_key: Path | None) -> Signer:
    """The user's own key, or this installation's; raises FshError if it cannot be used."""
    from fsh.pipeline.provenance.signing import installation_signer, read_signer

    return read_signer(signing_key) if signing_key else installation_signer()


def key_of(watermark_key: Path | None) -> bytes | None:
    """The user's secret, or None for the public key.

    Raises:
        FshError: if the file cannot be read or holds less than 16 bytes.
    """
    from fsh.schemas.errors import FshError

    if watermark_key is None:
        return None
    try:
        secret = watermark_key.read_bytes().strip()
    except OSError as error:
        raise FshError(f"cannot be read ({error.strerror})", where=watermark_key) from error
    if len(secret) < 16:
        raise FshError(
            f"a watermark key has 16 bytes or more, this has {len(secret)}",
            where=watermark_key,
            remedy=f"make one: head -c 32 /dev/urandom | base64 > {watermark_key}",
        )
    return b"fsh private watermark key 1\0" + secret


def marking_of(
    person: Path, about: dict[str, Any], signer: Signer, watermark_key: Path | None = None
) -> Marking:
    """The marks of a person: the watermark says which card, the manifest everything.

    Args:
        person: the person's folder.
        about: the ``about`` part of its card.
        watermark_key: see :func:`key_of`.

    Raises:
        FshError: if the consent in the card is not one, or the key cannot be used.
    """
    from fsh.pipeline.provenance.manifest import Claims
    from fsh.pipeline.provenance.watermark import PUBLIC_KEY, Watermark
    from fsh.schemas.consent import recorded_consent
    from fsh.schemas.ids import file_sha256

    card = file_sha256(person / "person.json")
    payload, key = int(card[:8], 16), key_of(watermark_key)
    return Marking(
        watermark=Watermark(payload, key or PUBLIC_KEY),
        claims=Claims(
            made_from={"person": card, **about.get("made_from", {})},
            consent=recorded_consent(about.get("consent"), where=person),
            watermark=payload,
            private=key is not None,
        ),
        signer=signer,
    )


def stated(consent: Path | None, act: str) -> dict[str, Any]:
    """A consent file's entry for a person's card; raises FshError if it does not allow ``act``."""
    from fsh.schemas.consent import NOT_STATED, read_consent

    if consent is None:
        return {"consent": NOT_STATED}
    statement = read_consent(consent)
    statement.require(act, date.today())
    return {"consent": statement.to_json()}


def require_consent(person: Path, about: dict[str, Any], act: str) -> str:
    """Hold fsh to the consent in a person's card; what to show of it.

    Raises:
        FshError: if there is a statement and it does not allow ``act`` today.
    """
    from fsh.schemas.consent import NOT_STATED, recorded_consent

    consent = recorded_consent(about.get("consent"), where=person)
    if consent is None:
        return NOT_STATED
    consent.require(act, date.today())
    return f"{consent.who}, by {consent.by}"


def enlarged(picture: np.ndarray) -> np.ndarray:
    """A picture whose shorter side has at least 256 px."""
    import cv2

    height, width = picture.shape[:2]
    scale = _LEAST / min(height, width)
    if scale <= 1:
        return picture
    size = round(width * scale), round(height * scale)
    return cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)


def unsigned(path: Path) -> Path:
    """Where a file is drawn before it is signed: beside it, hidden."""
    return path.with_name(f".{path.stem}-unsigned{path.suffix}")


def _pixels(file) -> np.ndarray:
    import numpy as np

    return np.asarray(file.convert("RGB"))

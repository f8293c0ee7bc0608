"""Marks on what fsh draws: the watermark in the pixels, the manifest in the file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from fsh.defaults import AnyPath
from fsh.pipeline.provenance.manifest import Claims, sign_file
from fsh.pipeline.provenance.signing import Signer, installation_signer, read_signer
from fsh.pipeline.provenance.watermark import PUBLIC_KEY, Watermark
from fsh.schemas.consent import NOT_STATED, read_consent, recorded_consent
from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256
from fsh.schemas.places.run_layout import PersonFolder
from fsh.schemas.places.temporary import temporary_file

#: Environment variable with the path of a private watermark key.
KEY_VARIABLE = "FSH_WATERMARK_KEY"
#: Pixels: a smaller picture has no room for a watermark.
_SMALLEST_SIDE = 256


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
        """Sign a finished file ``drawn`` into its place."""
        sign_file(drawn, self.claims, self.signer, to=to)

    def sign_in_place(self, path: Path) -> None:
        """Sign a finished file."""
        sign_file(path, self.claims, self.signer)

    def picture(self, path: Path) -> None:
        """Mark and sign a PNG in its place."""
        with Image.open(path) as file:
            (marked,) = self.frames([_pixels(file)])
        with unsigned(path) as drawn:
            Image.fromarray(marked).save(drawn)
            self.sign(drawn, path)


def signer_of(signing_key: AnyPath | None) -> Signer:
    """The user's own key, or this installation's.

    Raises:
        FshError: if it cannot be used.
    """
    return read_signer(Path(signing_key)) if signing_key else installation_signer()


def key_of(watermark_key: AnyPath | None) -> bytes | None:
    """The user's secret, or None for the public key.

    Args:
        watermark_key: the file that holds it; None: the one that :data:`KEY_VARIABLE` names.

    Raises:
        FshError: if the file cannot be read or holds less than 16 bytes.
    """
    watermark_key = watermark_key or os.environ.get(KEY_VARIABLE)
    if not watermark_key:
        return None
    try:
        secret = Path(watermark_key).read_bytes().strip()
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
    person: Path, about: dict[str, Any], signer: Signer, watermark_key: AnyPath | None = None
) -> Marking:
    """The marks of a person: the watermark says which card, the manifest everything.

    Args:
        person: the person's folder.
        about: the ``about`` part of its card.
        watermark_key: see :func:`key_of`.

    Raises:
        FshError: if the consent in the card is not one, or the key cannot be used.
    """
    card = file_sha256(PersonFolder(person).card)
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


def consent_entry(consent: AnyPath | None, act: str) -> dict[str, Any]:
    """A consent file's entry for a person's card.

    Raises:
        FshError: if the file is no statement, or does not allow ``act`` today.
    """
    if consent is None:
        return {"consent": NOT_STATED}
    statement = read_consent(Path(consent))
    statement.require(act, date.today())
    return {"consent": statement.to_json()}


def require_consent(person: Path, about: dict[str, Any], act: str) -> str:
    """Check that the consent in a person's card, if there is any, allows ``act`` today.

    Returns:
        Whose it is and who stated it, or that there is none, for people.

    Raises:
        FshError: if there is a statement and it does not allow ``act`` today.
    """
    consent = recorded_consent(about.get("consent"), where=person)
    if consent is None:
        return NOT_STATED
    consent.require(act, date.today())
    return f"{consent.who}, by {consent.by}"


def enlarged(picture: np.ndarray) -> np.ndarray:
    """A picture whose shorter side has at least 256 px."""
    height, width = picture.shape[:2]
    scale = _SMALLEST_SIDE / min(height, width)
    if scale <= 1:
        return picture
    size = round(width * scale), round(height * scale)
    return cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)


def unsigned(path: Path) -> AbstractContextManager[Path]:
    """Where a file is drawn before it is signed: beside it, hidden, this process's own."""
    return temporary_file(path, f".unsigned{path.suffix}")


def _pixels(file) -> np.ndarray:
    return np.asarray(file.convert("RGB"))

"""A portrait with a watermark and a signed manifest, or with less than that."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from PIL import Image
from skimage import data

from fsh.pipeline.provenance.manifest import Claims, sign_file
from fsh.pipeline.provenance.signing import installation_signer
from fsh.pipeline.provenance.watermark import Watermark
from fsh.schemas.consent import Consent

PAYLOAD = 0x00C0FFEE
PORTRAIT = data.astronaut()[:384, :384]
ADA = Consent("Ada", "Ada", ("animate",), date(2099, 1, 31))


def marked_picture(
    path: Path, *, watermark: bool = True, claimed: int | None = PAYLOAD, signed: bool = True
) -> Path:
    """Write the portrait; ``claimed``: the payload that the manifest names."""
    pixels = Watermark(PAYLOAD).mark(PORTRAIT) if watermark else PORTRAIT
    Image.fromarray(pixels).save(path)
    if signed:
        sign_file(path, Claims({"person": "ab"}, ADA, claimed), installation_signer())
    return path

"""Weight files of networks: what they are, where they are kept, fetching and verifying them."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256
from fsh.schemas.places.temporary import replacing
from fsh.schemas.progress import Progress

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One weight file and where it comes from.

    Attributes:
        name: what it is, for messages.
        file: its name on disk.
        url: where it comes from; empty if it cannot be fetched and has to be put there by hand.
        sha256: its hex SHA-256, or the first 8 or more digits of it where no more is known.
            torch-hub style names (``vgg19-dcbb9e9d.pth``) carry such a prefix. A prefix guards
            against a broken or mistaken file, not against a forged one.
        license: its licence, or that none is stated.
        size: about how many bytes, 0 if unknown.
    """

    name: str
    file: str
    url: str
    sha256: str
    license: str
    size: int = 0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{8,64}", self.sha256):
            raise ValueError(f"{self.name}: not a SHA-256 or a prefix of one: {self.sha256!r}")

    @property
    def pinned(self) -> bool:
        """Whether the whole hash is known, not only a prefix."""
        return len(self.sha256) == 64

    def matches(self, digest: str) -> bool:
        """Whether a file with this hex SHA-256 is the one meant."""
        return digest.startswith(self.sha256)


def weights_folder() -> Path:
    """``$FSH_WEIGHTS``, or ``~/.cache/fsh/weights``."""
    named = os.environ.get("FSH_WEIGHTS")
    return Path(named) if named else Path.home() / ".cache" / "fsh" / "weights"


def torch_hub_folder() -> Path:
    """Where torch.hub keeps its downloads; other tools may have left a file there already."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    home = os.environ.get("TORCH_HOME") or Path(cache) / "torch"
    return Path(home) / "hub" / "checkpoints"


def cached_weights(weight: WeightFile, also: Iterable[Path] = ()) -> Path | None:
    """The file if it is on this machine and its hash is right, else None; hashed at every call.

    Args:
        also: folders to look in after :func:`weights_folder`.
    """
    for folder in (weights_folder(), *also):
        path = folder / weight.file
        if path.is_file() and weight.matches(file_sha256(path)):
            return path
    return None


def fetch_weights(
    weight: WeightFile, progress: Progress, *, also: Iterable[Path] = (), timeout: float = 15.0
) -> Path:
    """The file on this machine, downloaded if need be; it gets its name only after verification.

    Args:
        also: folders to look in after :func:`weights_folder`; a download goes into the latter.
        timeout: seconds of silence after which a connection counts as lost.

    Raises:
        FshError: no network, a broken download, or the wrong file. The message says where to put
            the file by hand.
    """
    if found := cached_weights(weight, also):
        return found
    target = weights_folder() / weight.file
    by_hand = f"put {weight.file} into {target.parent} yourself, or run again with a network"
    if not weight.url:
        raise FshError(f"{weight.name} is not there", where=target, remedy=by_hand)
    try:
        with replacing(target) as temporary:
            with (
                urllib.request.urlopen(weight.url, timeout=timeout) as answer,
                temporary.open("wb") as file,
            ):
                digest = _copy(answer, file, weight.name, progress)
            if not weight.matches(digest):
                raise FshError(
                    f"{weight.name}: the file has SHA-256 {digest}, expected {weight.sha256}"
                    f"{'' if weight.pinned else '…'}; it was thrown away",
                    where=weight.url,
                    remedy=f"get the right file elsewhere and put it into {target.parent}",
                )
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise FshError(
            f"{weight.name} could not be fetched ({reason})", where=weight.url, remedy=by_hand
        ) from error
    return target


def _copy(answer: http.client.HTTPResponse, file: BinaryIO, name: str, progress: Progress) -> str:
    """Copy a download into a file; its hex SHA-256. A download that breaks off is an OSError."""
    digest, received = hashlib.sha256(), 0
    length = int(answer.headers.get("Content-Length", 0)) or None
    progress.start(f"fetching {name}", length, "B")
    try:
        while block := answer.read(_BLOCK):
            file.write(block)
            digest.update(block)
            received += len(block)
            progress.advance(len(block))
    finally:
        progress.stop()
    # read(n) returns what there is when the other side hangs up, and says nothing.
    if length is not None and received != length:
        raise OSError(f"broke off after {received} of {length} bytes")
    return digest.hexdigest()


#: Licence of each landmark backend's model.
LANDMARK_LICENSES = {
    "dlib": "dlib's 68-point model, trained on 300-W: no commercial use",
    "mediapipe": "MediaPipe's face landmarker: Apache-2.0; faces are framed by dlib's 68-point "
    "model, trained on 300-W: no commercial use",
    "fan": "face-alignment 2DFAN-4: licence of the weights not stated (code BSD-3-Clause)",
}

"""The weight files that landmarks and faces need, with hashes and licences."""

from __future__ import annotations

from pathlib import Path

from fsh.schemas.progress import Progress
from fsh.schemas.weights import Weight, torch_hub_folder
from fsh.schemas.weights import cached as cached_anywhere
from fsh.schemas.weights import fetch as fetch_anywhere

#: face-alignment 1.5's 2D network. The package downloads it without checking anything; the whole
#: hash is known from public projects that pin it, and begins as the file's own name says.
FAN_2D = Weight(
    name="face-alignment 2DFAN-4",
    file="2DFAN4-11f355bf06.pth.tar",
    url="https://www.adrianbulat.com/downloads/python-fan/2DFAN4-11f355bf06.pth.tar",
    sha256="11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
    license="none stated (the code around it is BSD-3-Clause)",
    size=96_000_000,
)


def cached(weight: Weight) -> Path | None:
    """A verified copy in fsh's folder or in torch.hub's, where face-alignment keeps its own."""
    return cached_anywhere(weight, also=[torch_hub_folder()])


def fetch(weight: Weight, progress: Progress) -> Path:
    """:func:`cached`, or download and verify.

    Raises:
        FshError: no network, a broken download, or the wrong file.
    """
    return fetch_anywhere(weight, progress, also=[torch_hub_folder()])

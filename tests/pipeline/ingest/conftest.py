"""Fixtures of the tests of ingest: small media files, a server, a fetcher."""

from __future__ import annotations

from pathlib import Path

import ingest_media as media
import loopback
import pytest
from fetching import fetcher_in

from fsh.pipeline.ingest.fetch import Fetcher
from fsh.pipeline.ingest.prober import Prober
from fsh.schemas.places.layout import DataFolder


@pytest.fixture(scope="session")
def media_files(tmp_path_factory) -> Path:
    """A folder of small files: a.mp4 with sound, b.mkv, seg.ts, image.png, sound.m4a."""
    folder = tmp_path_factory.mktemp("media")
    media.make_with_sound(folder / "a.mp4", "-movflags", "+faststart", seconds=4)
    media.make(folder / "b.mkv")
    media.make(folder / "seg.ts", "-c:v", "libx264")
    media.make_image(folder / "image.png")
    media.make_sound(folder / "sound.m4a")
    return folder


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> Path:
    """A folder of four small videos, 0.mp4 to 3.mp4, and image.png."""
    folder = tmp_path_factory.mktemp("clips")
    for i in range(4):
        media.make(folder / f"{i}.mp4", "-vf", f"hue=h={i * 40}", seconds=0.5)
    media.make_image(folder / "image.png")
    return folder


@pytest.fixture(scope="module")
def prober():
    prober = Prober()
    yield prober
    prober.sandbox.close()


@pytest.fixture
def server():
    with loopback.serving() as server:
        yield server


@pytest.fixture
def data(tmp_path) -> DataFolder:
    """A data folder that is not there yet."""
    return DataFolder(tmp_path / "data")


@pytest.fixture
def fetcher(data, prober) -> Fetcher:
    return fetcher_in(data, prober)

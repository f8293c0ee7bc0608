"""Videos, and the data set that a local run makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from erasable import contents
from videos import ingest, moving, write_video

from fsh.pipeline.dataset.config import ShardConfig
from fsh.pipeline.dataset.graph import shard
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.progress import Silent


@pytest.fixture(scope="session")
def videos(tmp_path_factory) -> dict[Path, str]:
    """Six small videos and one file that is none."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "broken.mp4").write_bytes(b"nothing" * 50)
    made = {folder / "broken.mp4": "nobody"}
    for number in range(6):
        frames = [frame // (1 + number // 2) for frame in moving(1.1, mirrored=number % 2 == 1)]
        made[write_video(folder / f"{number}.mp4", frames)] = f"person {number}"
    return made


@pytest.fixture(scope="session")
def local(videos, tmp_path_factory) -> dict[str, str]:
    """SHA-256 of every file of the data set that a local run makes."""
    data = ingest(tmp_path_factory.mktemp("local"), videos)
    shard(data, ShardConfig(), workers=2, progress=Silent())
    return contents(data)


@pytest.fixture
def data(videos, tmp_path) -> DataFolder:
    """The same videos, not yet worked on."""
    return ingest(tmp_path / "data", videos)

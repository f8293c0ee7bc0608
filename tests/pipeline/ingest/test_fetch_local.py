"""Local files, and what is refused by its licence or because it was erased."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import loopback
import pytest
from fetching import cause, fetch

from fsh.pipeline.ingest.licenses import is_creative_commons
from fsh.pipeline.ingest.options import IngestOptions
from fsh.pipeline.ingest.run import ingest
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Silent


def test_a_local_file_is_linked_or_copied(fetcher, media_files):
    outcome = fetch(fetcher, str(media_files / "a.mp4"))
    stored = fetcher.data.root / outcome.path
    assert stored.is_symlink() and stored.resolve() == media_files / "a.mp4"
    fetcher.options = replace(fetcher.options, copy=True)
    assert fetch(fetcher, str(media_files / "a.mp4")).path == outcome.path
    assert not stored.is_symlink() and stored.read_bytes() == (media_files / "a.mp4").read_bytes()
    fetcher.options = replace(fetcher.options, copy=False)
    fetch(fetcher, str(media_files / "a.mp4"))
    assert not stored.is_symlink()


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_without_links_is_told_before_the_first_video(
    data, media_files, monkeypatch, number
):
    """As memory cards and sticks have (FAT, exFAT); with copies all is well there."""

    def refused(*_) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "symlink_to", refused)
    lists, options = [str(media_files / "a.mp4")], IngestOptions(workers=1)
    with pytest.raises(FshError, match=r"has no links .* add --copy"):
        ingest(lists, data, options, Silent())
    assert ingest(lists, data, replace(options, copy=True), Silent()).states == {"stored": 1}


def test_local_paths_that_are_no_videos(fetcher, media_files, tmp_path):
    os.mkfifo(tmp_path / "fifo.mp4")
    for path, code in [
        (tmp_path / "none.mp4", "missing"),
        (tmp_path / "fifo.mp4", "not_a_file"),
        (tmp_path, "not_a_file"),
        (Path("/dev/zero"), "not_a_file"),
        (media_files / "image.png", "not_media"),
    ]:
        assert cause(fetch(fetcher, str(path))) == ("failed", "permanent", code)


def test_only_creative_commons(fetcher, media_files):
    fetcher.options = replace(fetcher.options, license="cc")
    path = str(media_files / "a.mp4")
    outcome = fetch(fetcher, path)
    assert cause(outcome) == ("refused", "refused", "license")
    assert "unknown" in outcome.error
    assert not list(fetcher.data.videos.glob("v-*"))
    assert fetch(fetcher, path, license="CC BY 4.0").license == "CC BY 4.0"


@pytest.mark.parametrize(
    ("license", "admitted"),
    [
        ("Creative Commons Attribution license (reuse allowed)", True),
        ("https://creativecommons.org/licenses/by/4.0/", True),
        ("CC-BY-SA", True),
        ("CC0", True),
        ("unknown", False),
        ("Standard YouTube License", False),
        ("accbylaw", False),
    ],
)
def test_what_counts_as_creative_commons(license, admitted):
    assert is_creative_commons(license) is admitted


def test_what_was_erased_is_refused(fetcher, server, media_files):
    url = server.on("/a.mp4", loopback.media(media_files / "a.mp4"))
    sha256 = hashlib.sha256((media_files / "a.mp4").read_bytes()).hexdigest()
    for mark in ({"key": url}, {"identity": "Ann"}, {"sha256": sha256}):
        fetcher.tombstones = Tombstones().adding(**mark)
        outcome = fetch(fetcher, url, identity="Ann")
        assert cause(outcome) == ("refused", "refused", "erased")
    assert len(server.hits["/a.mp4"]) == 1
    assert not list(fetcher.data.videos.glob("v-*"))

"""What a run of ingest keeps to: the rate limit, and the room on the disk."""

from __future__ import annotations

import subprocess
import time

import loopback
import pytest
from ingest_runs import options, padded, sources

from fsh.pipeline.ingest.rate_limit import BURST
from fsh.pipeline.ingest.run import ingest
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.progress import Silent


def test_workers_together_keep_to_the_rate(data, clips, tmp_path):
    """8 workers; requests are counted at the server."""
    rate = 10.0
    with loopback.serving() as server:
        links = [server.on(f"/{i}.mp4", loopback.media(clips / f"{i % 4}.mp4")) for i in range(25)]
        listing = tmp_path / "list.txt"
        listing.write_text("\n".join(links))
        limited = options(rates={"127.0.0.1": 3600 * rate}, workers=8)
        began = time.monotonic()
        report = ingest([str(listing)], data, limited, Silent())
        times = server.times()
    assert report.states == {"stored": 25}
    assert len(times) == 25
    assert times[-1] - began >= (25 - BURST) / rate


def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(clips, tmp_path, small_disk):
    data = DataFolder(small_disk / "data")
    listing = tmp_path / "list.txt"
    with loopback.serving() as server:
        body = (clips / "0.mp4").read_bytes()
        for i in range(12):  # 3 MB each: a video, padded, different from the others
            video = padded(body, 3 * 2**20, i)
            server.on(f"/{i}.mp4", lambda h, b=video: h.reply(200, b, Content_Type="video/mp4"))
        listing.write_text("\n".join(f"{server.url}/{i}.mp4" for i in range(12)))
        with pytest.raises(FshError, match="no room left on the disk") as caught:
            ingest([str(listing)], data, options(workers=2), Silent())
        assert "run the same command again" in caught.value.remedy
        assert not list(data.records.glob(data.run_file("ingest", "*").name))
        done = sources(data)
        assert 0 < len(done) < 12
        assert all((data.root / row.path).stat().st_size == row.bytes for row in done)
        (small_disk / "ballast").unlink()
        report = ingest([str(listing)], data, options(), Silent())
        assert report.states == {"stored": 12}
        assert report.fetched == 12 - len(done)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 80 MB, of which a file named ballast takes 30 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        (disk / "ballast").write_bytes(bytes(30 * 2**20))
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)

"""``fsh shard`` killed for real, again and again, and then the same bytes as if it never was."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from clusters import descendants, wait_until
from erasable import contents, span_tables
from videos import ingest, moving, write_video

from fsh.schemas.places.layout import DataFolder

VIDEOS = 8


def start(data: DataFolder) -> subprocess.Popen:
    command = [sys.executable, "-m", "fsh.cli", "shard", "--data", str(data.root), "--quiet"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [*command, "--landmarks", "dlib", "--workers", "2", "--json"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill_when(data: DataFolder, due: Callable[[], bool], delay: float) -> bool:
    """Run until something is there and ``delay`` seconds longer, then kill -9.

    Returns:
        Whether the run was still alive to be killed.
    """
    process = start(data)
    while process.poll() is None and not due():
        time.sleep(0.005)
    time.sleep(delay)
    alive, below = process.poll() is None, descendants(process.pid)
    process.kill()
    process.communicate()
    # Its workers notice and go: until then one may still finish what the next run does too.
    wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in below), "their end")
    return alive


@pytest.mark.slow
def test_ten_kills_do_not_change_a_byte(tmp_path):
    videos = {}
    for number in range(VIDEOS):
        frames = [frame // (1 + number // 2) for frame in moving(1.3, mirrored=bool(number % 2))]
        videos[write_video(tmp_path / f"{number}.mp4", frames)] = f"person {number}"
    whole = ingest(tmp_path / "whole", videos)
    assert start(whole).wait() == 0
    data = ingest(tmp_path / "killed", videos)
    delays = random.Random(4)
    shards = lambda: list(data.root.glob("shards/*/*.tar"))  # noqa: E731
    moments: list[Callable[[], bool]] = [
        *(lambda n=n: len(span_tables(data)) >= n for n in range(VIDEOS)),
        lambda: len(span_tables(data)) == VIDEOS,
        lambda: bool(shards()),
    ]
    killed = []
    before: dict[Path, tuple[int, int]] = {}
    for number, due in enumerate(moments):
        late = number >= VIDEOS - 1  # little is left to be done
        killed.append(kill_when(data, due, 0.0 if late else delays.uniform(0, 0.2)))
        after = span_tables(data)
        assert before.items() <= after.items(), "finished work was done again"
        before = after
    assert sum(killed) >= 9, killed
    assert len(before) >= VIDEOS - 1
    assert start(data).wait() == 0
    assert before.items() <= span_tables(data).items()
    assert contents(data) == contents(whole)

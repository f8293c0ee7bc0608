"""Which ffmpeg runs: a system's that is too old, or broken, is passed over, and that is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixture_ffmpeg import binary as own

from fsh.pipeline.media import ffmpeg

OLD = "ffmpeg version 4.4.2-0ubuntu0 Copyright (c)\nlibavutil      56. 70.100 / 56. 70.100"
DEBIAN = "ffmpeg version 5.1.9-0+deb12u1 Copyright (c)\nlibavutil      57. 28.100 / 57. 28.100"
HEAD = "ffmpeg version N-112233-gabcdef Copyright (c)\nlibavutil      59. 10.100 / 59. 10.100"
OLD_HEAD = "ffmpeg version git-2021-01-01 Copyright (c)\nlibavutil      56. 60.100 / 56. 60.100"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    """Each test chooses anew, and leaves the choice of the process as it was."""
    before = ffmpeg.chosen
    monkeypatch.setattr(ffmpeg, "chosen", ffmpeg.functools.cache(before.__wrapped__))
    monkeypatch.setattr(ffmpeg, "_told", [])
    monkeypatch.delenv("FSH_FFMPEG", raising=False)


def fake(folder: Path, says: str, code: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("says", "version", "too_old"),
    [
        (OLD, "4.4.2-0ubuntu0", True),
        (OLD_HEAD, "git-2021-01-01", True),
        (DEBIAN, "5.1.9-0+deb12u1", False),
        (HEAD, "N-112233-gabcdef", False),
        ("ffmpeg version 9.9 Copyright", "9.9", True),  # no libraries: not to be trusted
        ("bash: not found", "", False),
    ],
)
def test_a_version_is_judged_by_its_libraries(says, version, too_old):
    assert ffmpeg.version_of(says) == (version, too_old)


def test_none_one_that_will_do_and_one_that_is_too_old(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    assert ffmpeg.binary() == own() and not ffmpeg.chosen().instead_of
    ffmpeg.chosen.cache_clear()
    good = fake(tmp_path / "good", DEBIAN)
    monkeypatch.setenv("PATH", f"{good.parent}:/usr/bin:/bin")
    assert ffmpeg.binary() == str(good)


@pytest.mark.parametrize(
    ("says", "code", "why"),
    [(OLD, 0, "older than 5.1"), ("Segmentation fault", 139, "does not run")],
)
def test_the_wheels_own_runs_instead_and_it_is_said_once(tmp_path, monkeypatch, says, code, why):
    bad, lines = fake(tmp_path / "bad", says, code), []
    monkeypatch.setenv("PATH", f"{bad.parent}:/usr/bin:/bin")
    assert ffmpeg.binary() == own()
    for _ in range(2):
        ffmpeg.tell_choice(lines.append)
    assert len(lines) == 1 and str(bad) in lines[0] and why in lines[0] and "wheel" in lines[0]


def test_a_named_one_comes_first_if_it_can_be_used(tmp_path, monkeypatch):
    good, bad = fake(tmp_path / "good", HEAD), fake(tmp_path / "bad", OLD)
    monkeypatch.setenv("PATH", f"{good.parent}:/usr/bin:/bin")
    monkeypatch.setenv("FSH_FFMPEG", str(bad))
    assert ffmpeg.binary() == str(good) and "older" in ffmpeg.chosen().instead_of
    ffmpeg.chosen.cache_clear()
    monkeypatch.setenv("FSH_FFMPEG", str(good))
    assert ffmpeg.chosen() == ffmpeg.Chosen(str(good), "N-112233-gabcdef")

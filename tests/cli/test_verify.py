"""``fsh verify``: a line for each file, JSON, and the exit status."""

from __future__ import annotations

import json

import pytest
from command import fsh
from marked import marked_picture

from fsh.cli.verify import in_words
from fsh.verification import verify


@pytest.fixture(autouse=True)
def installation(tmp_path, monkeypatch):
    monkeypatch.setenv("FSH_HOME", str(tmp_path / "home"))


def test_a_marked_picture_in_words(tmp_path):
    line = in_words(verify(marked_picture(tmp_path / "a.png")))
    assert "marked and intact: C2PA valid, signed by fsh installation" in line
    assert "consent Ada (by Ada): animate, until 2099-01-31" in line


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"signed": False}, "watermark 00c0ffee"),
        ({"watermark": False, "claimed": None}, "no watermark found"),
        ({"claimed": 7}, "not the manifest's"),
    ],
)
def test_half_marked_is_not_marked(tmp_path, how, words):
    line = in_words(verify(marked_picture(tmp_path / "a.png", **how)))
    assert words in line and "NOT marked" in line


def test_the_exit_status_is_zero_only_if_every_file_is_marked(tmp_path):
    one = marked_picture(tmp_path / "a.png")
    two = marked_picture(tmp_path / "b.png", signed=False)
    done = fsh("verify", one, "--json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["files"]
    assert {"c2pa", "watermark", "consent", "intact"} <= result.keys()
    both = fsh("verify", one, two, "-q")
    assert both.returncode == 1 and len(both.stdout.strip().splitlines()) == 2

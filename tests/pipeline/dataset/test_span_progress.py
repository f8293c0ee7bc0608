"""Progress within a span, told through a file."""

from __future__ import annotations

from fsh.pipeline.dataset import span_progress as pulse
from fsh.pipeline.dataset.span_progress import Pulse


def test_what_is_told_is_read_and_nothing_is_left(tmp_path, monkeypatch):
    now = [10.0]
    monkeypatch.setattr(pulse.time, "monotonic", lambda: now[0])
    beat = Pulse(tmp_path)
    beat.at(0.2)
    assert pulse.read(tmp_path) == 0  # too early to write
    now[0] += 1
    beat.at(0.3)
    beat.at(0.9)
    assert pulse.read(tmp_path) == 0.3
    now[0] += 1
    beat.at(7)
    assert pulse.read(tmp_path) == 1
    beat.end()
    beat.end()
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_means_nothing(tmp_path):
    (tmp_path / "progress").write_text("")
    assert pulse.read(tmp_path) == 0
    assert pulse.read(tmp_path / "nowhere") == 0

"""Progress within a span, passed on through a file."""

from __future__ import annotations

from fsh.pipeline.dataset.spans.progress import SpanProgress, read_progress


def test_what_is_written_is_read_and_nothing_is_left(tmp_path):
    now, file = [10.0], tmp_path / "progress"
    progress = SpanProgress(file, clock=lambda: now[0])
    progress.update(0.2)
    assert read_progress(file) == 0  # too early to write
    now[0] += 1
    progress.update(0.3)
    progress.update(0.9)
    assert read_progress(file) == 0.3
    now[0] += 1
    progress.update(7)
    assert read_progress(file) == 1
    progress.end()
    progress.end()
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_means_nothing(tmp_path):
    (tmp_path / "progress").write_text("")
    assert read_progress(tmp_path / "progress") == 0
    assert read_progress(tmp_path / "nowhere" / "progress") == 0

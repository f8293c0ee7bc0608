"""``fsh shard`` and ``fsh ingest`` on real Dask clusters: schedulers and workers as processes."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from clusters import (
    PATIENCE,
    dask_scheduler,
    dask_worker,
    descendants,
    kill_group,
    need_dask,
    start_fsh,
    wait_for_dask_workers,
    wait_until,
)
from erasable import contents, span_tables

SHARD = ("shard", "--landmarks", "dlib", "--runner", "dask")


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_gives_the_same_bytes(data, local, tmp_path):
    """Nothing that was finished is done again, and it is said that a worker is gone."""
    with dask_scheduler(tmp_path) as file, ExitStack() as stack:
        workers = [stack.enter_context(dask_worker(file)) for _ in range(2)]
        wait_for_dask_workers(file, 2)
        log = tmp_path / "shard.log"
        command = (*SHARD, "--data", data.root, "--dask_scheduler_file", file)
        process = start_fsh(*command, log=log)
        stack.callback(kill_group, process)
        wait_until(lambda: span_tables(data), "a span", process)
        kill_group(workers[0])
        before = span_tables(data)
        assert process.wait() == 0, log.read_text()
        assert before.items() <= span_tables(data).items(), "finished work was done again"
        assert contents(data) == local
        assert "Dask workers: 1 of 2 left" in log.read_text()
        assert "s of video" in log.read_text(), "no progress was shown"


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["dask", "local"])
def test_ctrl_c_leaves_no_process_behind_and_the_next_run_goes_on(runner, data, local, tmp_path):
    """Neither workers of a cluster of its own, nor sandboxes in the middle of a video."""
    need_dask()
    log = tmp_path / "shard.log"
    command = (*SHARD[:-1], runner, "--data", data.root, "--workers", 2)
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    process = start_fsh(*command, log=log, TMPDIR=str(scratch))
    try:
        wait_until(lambda: span_tables(data), "a span", process)
        below = descendants(process.pid)
        assert len(below) > 2
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE) == 130, log.read_text()
        assert log.read_text().splitlines()[-1].startswith("fsh: stopped")
        assert "Traceback" not in log.read_text()
        wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in below), "the end")
    finally:
        kill_group(process)
    assert list(scratch.iterdir()) == []
    before = span_tables(data)
    again = start_fsh(*command, log=log, TMPDIR=str(scratch))
    assert again.wait() == 0, log.read_text()
    assert before.items() <= span_tables(data).items() and contents(data) == local
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
def test_a_scheduler_that_dies_is_told_in_one_line(data, tmp_path):
    log = tmp_path / "shard.log"
    scheduler = dask_scheduler(tmp_path)
    with ExitStack() as stack:
        file = stack.enter_context(scheduler)
        stack.enter_context(dask_worker(file))
        flags = ("--dask_scheduler_file", file, "--dask_connection_timeout", 15)
        process = start_fsh(*SHARD, "--data", data.root, *flags, log=log)
        stack.callback(kill_group, process)
        wait_until(lambda: span_tables(data), "a span", process)
        scheduler.__exit__(None, None, None)
        assert process.wait() == 1
    last = log.read_text().splitlines()[-1]
    assert last.startswith("fsh: dask lost its workers, or they their scheduler"), last
    assert "ERROR" not in log.read_text() and "Traceback" not in log.read_text()


@pytest.mark.slow
def test_a_worker_with_another_fsh_is_told_in_one_line(data, tmp_path):
    """Its code differs by a line; nothing is recorded of any video."""
    links = next(Path(place) for place in sys.path if Path(place, "fsh", "pipeline").is_dir())
    other = tmp_path / "other"
    for path in (links / "fsh").resolve().iterdir():
        target = other / "fsh" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path.resolve())
    pipeline = other / "fsh" / "pipeline"
    real = pipeline.resolve()
    pipeline.unlink()
    pipeline.mkdir()
    for path in real.iterdir():
        (pipeline / path.name).symlink_to(path)
    (pipeline / "added.py").write_text("# another version\n")
    with (
        dask_scheduler(tmp_path) as file,
        dask_worker(file, PYTHONPATH=":".join([str(other), *sys.path])),
    ):
        log = tmp_path / "shard.log"
        flags = ("--dask_scheduler_file", file)
        assert start_fsh(*SHARD, "--data", data.root, *flags, log=log).wait() == 1
        last = log.read_text().splitlines()[-1]
        assert last.startswith("fsh: worker ") and "has another fsh" in last
        assert last.endswith("→ install the same fsh on every worker and restart them")
    assert not span_tables(data)

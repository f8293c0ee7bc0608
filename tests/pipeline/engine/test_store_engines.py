"""Engines whose workers share nothing but an object store: real ones, and a real S3 server."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

import pytest
from clusters import (
    PATIENCE,
    dask_scheduler,
    dask_worker,
    kill_group,
    prism_job_server,
    start_fsh,
    wait_for_dask_workers,
    wait_until,
    worker_pool,
)
from erasable import contents, span_tables
from object_store import BUCKET, copy_folder, s3_server, settings

from fsh.schemas.places.layout import DataFolder
from fsh.schemas.tables.parquet import read_sources

SHARD = ("shard", "--landmarks", "dlib")


@pytest.mark.slow
def test_dask_with_a_worker_lost_gives_the_same_bytes(data, local, tmp_path):
    with s3_server(tmp_path / "served") as port, dask_scheduler(tmp_path) as file:
        address = copy_folder(data.root, tmp_path / "served", "set")
        files = DataFolder(tmp_path / "served" / BUCKET / "set")
        with ExitStack() as stack:
            workers = [
                stack.enter_context(dask_worker(file, **settings(port, tmp_path / f"cache{n}")))
                for n in range(2)
            ]
            wait_for_dask_workers(file, 2)
            log = tmp_path / "shard.log"
            command = (*SHARD, "--data", address, "--runner", "dask", "--dask_scheduler_file", file)
            process = start_fsh(*command, log=log, **settings(port, tmp_path / "cache"))
            stack.callback(kill_group, process)
            wait_until(lambda: len(span_tables(files)) >= 2, "two spans", process)
            kill_group(workers[0])
            before = span_tables(files)
            assert process.wait() == 0, log.read_text()
        assert before.items() <= span_tables(files).items(), "finished work was done again"
        assert contents(files) == local and "s of video" in log.read_text()


@pytest.mark.slow
def test_prism_gives_the_same_bytes(data, local, tmp_path, monkeypatch):
    with s3_server(tmp_path / "served") as port:
        address = copy_folder(data.root, tmp_path / "served", "set")
        for name, value in settings(port, tmp_path / "cache").items():
            monkeypatch.setenv(name, value)  # the pool's as well
        with prism_job_server(tmp_path) as server, worker_pool(tmp_path) as (pool, _):
            log = tmp_path / "shard.log"
            command = (*SHARD, "--data", address, "--runner", "portable", "--job_endpoint", server)
            command += ("--environment_type", "EXTERNAL", "--environment_config", pool)
            process = start_fsh(*command, log=log)
            try:
                assert process.wait(PATIENCE) == 0, log.read_text()
            finally:
                kill_group(process)
        assert contents(DataFolder(tmp_path / "served" / BUCKET / "set")) == local


@pytest.mark.slow
def test_dask_workers_ingest_into_a_store(videos, tmp_path):
    """Everything once, and one table; the workers have nothing in common but the store."""
    with s3_server(tmp_path / "served") as port, dask_scheduler(tmp_path) as file:
        files = DataFolder(tmp_path / "served" / BUCKET / "set")
        listing, log = tmp_path / "list.txt", tmp_path / "ingest.log"
        listing.write_text("\n".join(map(str, videos)))
        with ExitStack() as stack:
            for n in range(2):
                here = settings(port, tmp_path / f"cache{n}")
                stack.enter_context(dask_worker(file, **here))
            command = ("ingest", listing, "--data", f"s3://{BUCKET}/set", "--runner", "dask")
            process = start_fsh(
                *command, "--dask_scheduler_file", file, log=log, **settings(port, tmp_path / "c")
            )
            stack.callback(kill_group, process)
            assert process.wait() == 0, log.read_text()
        states = Counter(source.state for source in read_sources(files.sources))
        assert states == {"stored": 6, "failed": 1}
        assert len(list(files.videos.iterdir())) == 6 and not list(files.journals.glob("*"))

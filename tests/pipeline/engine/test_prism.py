"""The portable contract, for which Flink, Spark and Dataflow stand too: Beam's Go job server, and a
worker pool of its own that starts the workers."""

from __future__ import annotations

import os
import signal
import socket

import pytest
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from clusters import (
    command_line,
    descendants,
    kill_group,
    prism_job_server,
    start_fsh,
    wait_until,
    worker_pool,
)
from erasable import contents, span_tables

from fsh.pipeline.engine.portable import portable_flags
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder


def command(data: DataFolder, server: str, pool: str) -> list[object]:
    return [
        *("shard", "--landmarks", "dlib", "--data", data.root, "--runner", "portable"),
        *("--job_endpoint", server),
        *("--environment_type", "EXTERNAL", "--environment_config", pool),
    ]


@pytest.mark.slow
def test_a_killed_worker_costs_one_line_and_no_finished_span(data, local, tmp_path):
    """The job is lost with its worker; the same command goes on and gives the same bytes."""
    log = tmp_path / "shard.log"
    with prism_job_server(tmp_path) as server, worker_pool(tmp_path) as (pool, process):
        first = start_fsh(*command(data, server, pool), log=log)
        try:
            wait_until(lambda: span_tables(data), "a span", first)
            (worker,) = (
                pid
                for pid in descendants(process.pid)
                if b"SdkHarness" in (words := command_line(pid)) and b"-c\0" in words
            )
            os.kill(worker, signal.SIGKILL)
            assert first.wait() == 1
        finally:
            kill_group(first)
        last = log.read_text().splitlines()[-1]
        assert last.startswith("fsh: portable ") and "what is finished stays" in last, last
        assert "Traceback" not in log.read_text()
        before = span_tables(data)
        assert before
        scratch = tmp_path / "tmp"
        scratch.mkdir()
        again = start_fsh(*command(data, server, pool), log=log, TMPDIR=str(scratch))
        assert again.wait() == 0, log.read_text()
        assert list(scratch.iterdir()) == []
    assert before.items() <= span_tables(data).items(), "finished work was done again"
    assert contents(data) == local


@pytest.mark.slow
def test_a_job_server_that_is_not_there_is_named(data, tmp_path):
    log = tmp_path / "shard.log"
    words = command(data, "localhost:1", "localhost:2")
    assert start_fsh(*words, log=log).wait() == 1
    last = log.read_text().splitlines()[-1]
    assert last.startswith("fsh: portable does not answer at localhost:1 (Connection"), last
    assert last.endswith("→ start its job server, or check --job_endpoint")


def test_a_job_may_take_longer_than_a_server_has_to_answer():
    """Beam's timeout is for both; fsh's own look takes the user's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        flags = (f"--job_endpoint=127.0.0.1:{server.getsockname()[1]}", "--job_server_timeout=5")
        followed = portable_flags(flags, "portable")
    options = PipelineOptions(list(followed)).view_as(PortableOptions)
    assert options.job_server_timeout > 7 * 86_400
    with pytest.raises(FshError, match="portable does not answer at"):
        portable_flags(flags, "portable")
    with pytest.raises(FshError, match="invalid int value"):
        portable_flags(("--job_server_timeout=long",), "portable")

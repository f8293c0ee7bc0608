"""The stop signal: one run's, seen by its workers in other threads and processes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import loopback
import pytest
from ingest_runs import recorded_urls

from fsh.pipeline.engine.stop_signal import stop_signal
from fsh.schemas.places.disk import NoRoom
from fsh.schemas.places.layout import DataFolder

WORKER = textwrap.dedent(
    """
    import pickle, sys
    from fsh.pipeline.ingest.journal import Job
    from fsh.pipeline.ingest.options import IngestOptions
    from fsh.pipeline.ingest.lists.requests import Request
    from fsh.pipeline.ingest.workers import FetchVideos
    from fsh.schemas.places.layout import DataFolder
    data, stop, url = pickle.loads(bytes.fromhex(sys.argv[1]))
    worker = FetchVideos(data, IngestOptions(), stop)
    worker.setup()
    request = Request(url)
    print(list(worker.process(Job(request.key, (request,)))))
    worker.teardown()
    """
)


@pytest.fixture
def data(tmp_path) -> DataFolder:
    """A data folder that an ingest holds."""
    folder = DataFolder(tmp_path / "data")
    folder.records.mkdir(parents=True)
    return folder


def test_a_copy_is_the_same_signal(data):
    with stop_signal(data) as stop:
        copy = pickle.loads(pickle.dumps(stop))
        assert not copy.is_set()
        copy.set()
        copy.set()
        assert stop.is_set()


def test_it_is_set_when_the_run_ends_and_when_the_next_begins_after_a_kill(data):
    with stop_signal(data) as stop:
        pass
    assert stop.is_set() and not list(data.records.iterdir())
    stop.path.touch()  # as a kill leaves it
    with stop_signal(data) as later:
        assert stop.is_set() and not later.is_set()


def test_a_worker_in_another_process_stops_a_download(data):
    with loopback.serving() as server, stop_signal(data) as stop:

        def stop_and_drip(handler: loopback.Handler) -> None:
            stop.set()
            loopback.drip(600)(handler)

        url = server.on("/a.mp4", stop_and_drip)
        message = pickle.dumps((data, stop, url)).hex()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", WORKER, message]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
        assert done.stdout.strip() == "[]", done.stderr
        assert len(server.hits["/a.mp4"]) == 1
    assert not recorded_urls(data)


def test_it_can_be_set_on_a_full_disk(data, monkeypatch):
    """Nothing is written to set it; a run that finds no room for its signal does not begin."""
    with stop_signal(data) as stop:
        monkeypatch.setattr("os.open", no_room)
        stop.set()
        assert stop.is_set()
        with pytest.raises(NoRoom), stop_signal(data):
            pass


def no_room(*arguments, **names):
    raise OSError(28, "No space left on device")


def test_it_can_be_set_where_nothing_can_be_removed_any_more(data, monkeypatch):
    """The run ends for that reason perhaps, and what is told is the reason."""

    def refuse(path, missing_ok=False):
        raise PermissionError(1, "Operation not permitted")

    with stop_signal(data) as signal:
        assert not signal.is_set()
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", refuse)
            signal.set()
        assert signal.is_set()
    with stop_signal(data) as later:
        assert not later.is_set() and not signal.path.exists()

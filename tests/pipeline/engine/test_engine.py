"""Which engine, what it lacks, who may take part, and what is kept between bundles."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import apache_beam as beam
import pytest
from apache_beam.runners.worker import data_plane
from clusters import need_dask, wait_until
from tiny_run import Told

from fsh.cli.ingest import split_flags
from fsh.pipeline.engine import dask_cluster, ticket
from fsh.pipeline.engine.idle_pool import IdlePool, NotWanted
from fsh.pipeline.engine.runner import Engine, opened
from fsh.pipeline.engine.stop_signal import stop_signal
from fsh.pipeline.engine.ticket import Ticket
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.progress import Silent


@pytest.fixture
def folder(tmp_path) -> DataFolder:
    data = DataFolder(tmp_path / "data")
    data.records.mkdir(parents=True)
    return data


@pytest.fixture
def ours(folder):
    with stop_signal(folder, "shard") as stop:
        yield Ticket.of(folder, stop, elsewhere=True)


def ffmpeg() -> str:
    return "true"


def test_all_work_is_in_the_batches_and_only_threads_share_one():
    work = list(range(25_000))
    for engine in (Engine("dask"), Engine("flink"), Engine(workers=2, mode="multi_processing")):
        batches = engine.batches(work)
        assert sorted(one for batch in batches for one in batch) == work
        assert len(batches) == 10_000 and max(map(len, batches)) == 3
        assert engine.batches(work[:3]) == [(0,), (1,), (2,)]
    assert Engine(workers=2).batches(work[:3]) == [(0, 1, 2)]
    assert all(engine.batches([]) == [] for engine in (Engine(), Engine("dask")))


def test_an_unknown_runner_is_told_in_one_line(ours):
    with (
        opened(Engine("dusk"), ours, Silent()) as engine,
        pytest.raises(FshError, match=r"no runner 'dusk' .* → use local, dask, portable"),
    ):
        engine.run(lambda pipeline: None)


def fail(number: int) -> None:
    raise FshError(f"no room for {number}", where="here", remedy="make some")


def test_what_a_worker_raises_is_told_once_and_without_a_traceback(ours, capfd):
    def graph(pipeline):
        _ = pipeline | beam.Create([1, 2]) | beam.Map(fail)

    with (
        opened(Engine(workers=2), ours, Silent()) as engine,
        pytest.raises(FshError, match=r"^here: no room for \d → make some$"),
    ):
        engine.run(graph)
    assert "Traceback" not in capfd.readouterr().err


def test_dask_that_is_not_installed(ours, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(FshError, match=r'needs Dask .* → pip install "fsh\[dask\]"'):
        opened(Engine("dask"), ours, Silent()).__enter__()


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (
            ("--dask_adress=tcp://127.0.0.1:1",),
            "unknown --dask_adress=tcp://127.0.0.1:1 → use --das",
        ),
        (("--dask_npartitions", "many"), "argument --dask_npartitions: invalid int value"),
        (
            ("--dask_client_address", "tcp://127.0.0.1:1"),
            r"tcp://127.0.0.1:1: no Dask scheduler ans",
        ),
        (("--dask_client_address", "head"), "head: no Dask scheduler answers"),
    ],
)
def test_dask_that_cannot_be_reached_or_is_asked_for_what_it_does_not_know(
    flags, told, ours, monkeypatch
):
    need_dask()
    monkeypatch.setattr(dask_cluster, "_ANSWER", 1)
    with pytest.raises(FshError, match=told):
        opened(Engine("dask", flags=flags), ours, Silent()).__enter__()


def test_workers_that_come_and_go_are_told_of():
    assert dask_cluster._worker_line(1, 2, "x").startswith("Dask workers: 1 of 2 left")
    assert dask_cluster._worker_line(0, -1, "tcp://x").endswith("→ dask worker tcp://x")
    assert "what is finished stays" in dask_cluster._worker_line(0, 2, "x")


def test_a_worker_takes_part_only_if_it_fits(ours, folder, tmp_path, monkeypatch):
    ours.check(ffmpeg)
    with pytest.raises(FshError, match=r"worker .* has another fsh .* → install the same fsh"):
        replace(ours, code="0.0.9, code 1234").check(ffmpeg)
    missing = lambda: "no-such-ffmpeg"  # noqa: E731
    with pytest.raises(FshError, match=r"worker .* has no ffmpeg that works"):
        ours.check(missing)
    monkeypatch.setattr(ticket, "_SEEN_AFTER", 0.0)
    nowhere = replace(ours, data=DataFolder(tmp_path / "other"))
    nowhere = replace(nowhere, stop=replace(ours.stop, path=nowhere.data.records / "run"))
    with pytest.raises(FshError, match=r"other: worker .* does not see the data folder"):
        nowhere.check(ffmpeg)
    replace(nowhere, elsewhere=False).check(missing)  # the command itself looks at nothing


def test_a_worker_waits_for_a_network_folder_to_show_what_is_new(folder):
    with stop_signal(folder, "shard") as stop:
        late = replace(stop, path=stop.path.with_name("late"))
        threading.Timer(0.5, late.path.touch).start()
        Ticket.of(folder, late, elsewhere=True).check(ffmpeg)


def test_an_idle_one_is_used_again_and_closed_after_a_while():
    made, closed = [], []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    pool = IdlePool(make, closed.append, keep=600)
    with pool.taken() as first, pool.taken() as second:
        assert {first, second} == {0, 1}
    with pool.taken() as again:
        assert again in (first, second)
    assert made == [0, 1] and not closed
    pool.close()
    assert sorted(closed) == [0, 1]
    soon = IdlePool(make, closed.append, keep=0.2)
    with soon.taken() as used:
        with soon.taken() as idle:
            pass
        wait_until(lambda: closed[2:] == [idle], "the end of the idle one")
    wait_until(lambda: closed[2:] == [idle, used], "the end of the other")


def test_no_more_than_the_most_are_in_use_and_who_does_not_want_to_wait_goes():
    used, most = [], [0]
    pool = IdlePool(object, lambda one: None, most=2)

    def use(_: int) -> None:
        with pool.taken() as one:
            used.append(one)
            most[0] = max(most[0], len(used))
            time.sleep(0.02)
            used.remove(one)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, range(20)))
    assert most[0] == 2
    with pool.taken(), pool.taken(), pytest.raises(NotWanted), pool.taken(lambda: False):
        pass
    with pool.taken(lambda: False):
        pass


def test_lists_come_first_and_an_engines_flags_last():
    words = ["a.txt", "b.csv", "--dask_client_address", "tcp://x", "--flag", "--other=1"]
    assert split_flags(words) == (["a.txt", "b.csv"], words[2:])
    assert split_flags(["a.txt"]) == (["a.txt"], [])
    dashed = ["fsh", "ingest", "a.txt", "--", "-x"]
    assert split_flags(["a.txt", "-x"], dashed) == (["a.txt", "-x"], [])
    with pytest.raises(Exception, match=r"c\.txt: lists come first"):
        split_flags(["--flag=1", "c.txt"])


@pytest.mark.slow
def test_nothing_is_said_while_all_workers_are_there():
    need_dask()
    told = Told()
    with dask_cluster.dask_flags((), 1, told) as flags:
        assert "--dask_partition_size=1" in flags
        time.sleep(0.5)
    assert told.lines == []


def test_no_thread_of_its_own_sends_what_is_still_being_written(ours, monkeypatch):
    made = []

    class Flushing(data_plane.TimeBasedBufferingClosableOutputStream):
        def __init__(self, *arguments, **named):
            made.append(self)
            super().__init__(*arguments, **named)

    monkeypatch.setattr(data_plane, "TimeBasedBufferingClosableOutputStream", Flushing)
    for engine in (Engine(workers=2), Engine(workers=1)):
        with opened(engine, ours, Silent()) as at_work:
            at_work.run(lambda pipeline: pipeline | engine.elements([1, 2, 3]) | beam.Map(str))  # noqa: B023
    assert not made

"""Locks in an object store: one holder at a time, whatever their clocks say; a real S3 server."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fsh.schemas.errors import FshError
from fsh.schemas.places import leases
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.leases import Held, Lease, leased
from fsh.schemas.places.stores import StoreRefused, write_if_absent


def owning(data: DataFolder, command: str = "shard", *, shared: bool = False, say=print):
    lock, place = data.lock("shard"), {"where": data.root, "remedy": "wait for it"}
    return leased(lock, command, **place, shared=shared, say=say)


def contest(data: DataFolder, takers: int) -> tuple[int, list[str]]:
    """How many of so many at once got the lease, which they kept; what the others were told."""
    won, lost, hold = [], [], threading.Event()

    def take() -> None:
        try:
            with owning(data):
                won.append(1)
                hold.wait(600)
        except Held as error:
            lost.append(str(error))

    threads = [threading.Thread(target=take) for _ in range(takers)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 300
    while len(lost) < takers - 1 and time.monotonic() < until:
        time.sleep(0.02)
    hold.set()
    for thread in threads:
        thread.join()
    return len(won), lost


def test_one_of_many_gets_the_lease(s3_place):
    won, lost = contest(s3_place.data, 6)
    assert (won, len(lost)) == (1, 5)
    assert all("another shard is at work here since" in line for line in lost)
    with owning(s3_place.data):  # it was given back
        pass


def test_parts_hold_it_together_and_a_whole_run_alone(s3_place):
    data = s3_place.data
    one, two = (owning(data, f"shard --part {n}/2", shared=True) for n in (1, 2))
    with one, two:
        with pytest.raises(FshError, match=r"shard --part [12]/2 is at work"), owning(data):
            pass
        again = owning(data, "shard --part 1/2", shared=True)
        with pytest.raises(FshError, match="another shard --part 1/2 is at work"), again:
            pass
    with owning(data):
        part = owning(data, "shard --part 1/2", shared=True)
        with pytest.raises(FshError, match="shard is at work"), part:
            pass
    with owning(data, "shard --part 1/2", shared=True):
        pass


def test_a_lease_is_renewed_and_one_that_was_not_is_taken_over(s3_place, monkeypatch):
    monkeypatch.setattr(leases, "LENGTH", 2.0)
    monkeypatch.setattr(leases, "_RENEWAL", 0.2)
    data = s3_place.data
    with owning(data):
        time.sleep(2.5)
        with pytest.raises(FshError, match="is at work here"), owning(data):
            pass
    monkeypatch.setattr(leases, "_RENEWAL", 600.0)  # its holder is as good as dead
    with owning(data):
        time.sleep(2.1)
        monkeypatch.setattr(leases, "_RENEWAL", 0.2)
        with owning(data), pytest.raises(FshError, match="is at work here"), owning(data):
            pass


def test_the_lease_of_a_killed_process_of_this_machine_is_no_obstacle(s3_place):
    code = (
        "import os, sys; from fsh.data_places import data_folder\n"
        "from fsh.schemas.places.leases import leased\n"
        "data = data_folder(sys.argv[1])\n"
        "with leased(data.lock('shard'), 'shard', where=data.root, remedy=''): os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, s3_place.address], capture_output=True)
    assert done.returncode == 9, done.stderr
    with owning(s3_place.data):
        pass


@pytest.mark.parametrize("shared", [False, True])
def test_what_this_process_could_not_give_back_is_no_obstacle(s3_place, monkeypatch, shared):
    def unreachable(path, content, patience=None):
        raise StoreRefused("gone", where=path)

    command = "shard --part 1/2" if shared else "shard"
    with monkeypatch.context() as patch, owning(s3_place.data, command, shared=shared):
        patch.setattr(leases, "write_object", unreachable)
    with owning(s3_place.data), pytest.raises(Held), owning(s3_place.data):
        pass


def test_the_same_number_in_another_container_is_another_process(s3_place, monkeypatch):
    own = leases._host()
    with owning(s3_place.data), monkeypatch.context() as patch:
        patch.setattr(leases, "_OURS", set())
        patch.setattr(leases, "_host", lambda: f"{own} pid:[1]")
        with pytest.raises(Held), owning(s3_place.data):
            pass


def test_a_store_without_conditions_has_no_locks(s3_place, monkeypatch):
    from s3fs import S3FileSystem

    plain = S3FileSystem._pipe_file

    async def unconditional(self, path, data, mode="overwrite", **others):
        return await plain(self, path, data, **others)

    monkeypatch.setattr(S3FileSystem, "_pipe_file", unconditional)
    S3FileSystem.clear_instance_cache()
    data = s3_place.data
    with pytest.raises(FshError, match="no writes on a condition"), owning(data):
        pass


def test_writing_what_is_there_is_no_loss_if_it_is_the_same(s3_place):
    place = s3_place.data.root / "some"
    assert write_if_absent(place, b"one") and write_if_absent(place, b"one")
    assert not write_if_absent(place, b"two") and place.read_bytes() == b"one"


@contextmanager
def on_another_machine(monkeypatch, *, ahead: float) -> Iterator[None]:
    """What is done meanwhile is done by a machine of another name, whose clock is elsewhere."""

    real = time.time

    class Clock:
        monotonic, sleep = time.monotonic, time.sleep

        @staticmethod
        def time() -> float:
            return real() + ahead

    with monkeypatch.context() as patch:
        patch.setattr(leases.socket, "gethostname", lambda: "another")
        patch.setattr(leases, "time", Clock)
        yield


@pytest.fixture
def short(monkeypatch) -> None:
    """Who has gone is not waited for long."""
    monkeypatch.setattr(leases, "LENGTH", 1.2)
    monkeypatch.setattr(leases, "_RENEWAL", 0.2)


@pytest.fixture
def lively(monkeypatch) -> None:
    """Who lives says so often, and has long to say so, however busy the machine is."""
    monkeypatch.setattr(leases, "LENGTH", 12.0)
    monkeypatch.setattr(leases, "_RENEWAL", 0.2)


@pytest.mark.parametrize("ahead", [-86_400.0, -30.0, 0.0, 9.0, 30.0, 400 * 86_400.0])
def test_a_living_holder_is_never_taken_for_a_dead_one(s3_place, lively, monkeypatch, ahead):
    data = s3_place.data
    with owning(data), on_another_machine(monkeypatch, ahead=ahead):
        for _ in range(2):
            with pytest.raises(Held, match="another shard is at work"), owning(data):
                pass
            time.sleep(0.3)
    with on_another_machine(monkeypatch, ahead=ahead), owning(data):  # it was given back
        pass


def test_a_part_of_another_clock_keeps_a_whole_run_out(s3_place, lively, monkeypatch):
    data = s3_place.data
    part = owning(data, "shard --part 1/2", shared=True)
    with part, on_another_machine(monkeypatch, ahead=90.0):
        with pytest.raises(Held, match="shard --part 1/2 is at work"), owning(data):
            pass
        with owning(data, "shard --part 2/2", shared=True):
            pass


@pytest.mark.parametrize("ahead", [-90.0, 0.0, 90.0])
def test_a_holder_that_went_without_a_word_is_waited_for_once(s3_place, short, monkeypatch, ahead):
    data, told = s3_place.data, []
    with on_another_machine(monkeypatch, ahead=ahead):
        lost = Lease.new("shard")
    assert write_if_absent(
        data.lock("shard").with_name(f"{data.lock('shard').name}.whole.000001"), lost.to_bytes()
    )
    began = time.monotonic()
    while True:  # one that looks current is refused at once, and looks so for a lease's time
        try:
            with owning(data, say=told.append):
                taken = time.monotonic() - began
            break
        except Held:
            time.sleep(0.05)
    assert taken > leases.LENGTH
    assert len(told) == 1 and "watching for a sign of it" in told[0] and "on another" in told[0]


def test_one_of_several_watchers_takes_over(s3_place, short, monkeypatch):
    monkeypatch.setattr(leases, "LENGTH", 4.0)
    data = s3_place.data
    with on_another_machine(monkeypatch, ahead=-90.0):
        lease = Lease.new("shard")
    lock = data.lock("shard")
    assert write_if_absent(lock.with_name(f"{lock.name}.whole.000001"), lease.to_bytes())
    won, lost = contest(data, 3)
    assert (won, len(lost)) == (1, 2)


def test_every_sign_of_life_differs_from_the_one_before(monkeypatch):
    monkeypatch.setattr(leases.time, "time", lambda: 1e9)  # a clock that stands still
    lease = Lease.new("shard")
    assert len({lease.to_bytes(), lease.renewed().to_bytes(), lease.renewed().to_bytes()}) == 3

"""The ledger: nothing finished is lost, nothing is done twice."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsh.pipeline.ingest.journal import (
    FetchOutcome,
    Job,
    Journal,
    journal_files,
    parse_journal,
    read_journals,
)
from fsh.pipeline.ingest.ledger import Ledger, plan_jobs, source_of, sources_of
from fsh.pipeline.ingest.lists.requests import Request
from fsh.pipeline.locks import locked
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import NoRoom
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.tables.parquet import read_sources
from fsh.schemas.tables.records import ErrorClass, Source, SourceState

TIME = "2026-11-22T10:00:00+00:00"
LATER = "2026-11-23T10:00:00+00:00"


@pytest.fixture
def data(tmp_path) -> DataFolder:
    (tmp_path / "sources").mkdir()
    (tmp_path / "videos").mkdir()
    return DataFolder(tmp_path)


def stored(data: DataFolder, name: str = "v-0123456789abcdef", size: int = 3) -> FetchOutcome:
    path = data.videos / f"{name}.mp4"
    path.write_bytes(b"x" * size)
    relative = str(path.relative_to(data.root))
    return FetchOutcome(
        SourceState.STORED, video_id=name, path=relative, bytes=size, attempts=1, last_tried=TIME
    )


def failure(error_class: ErrorClass, code: str = "x", attempts: int = 1) -> FetchOutcome:
    refused = error_class is ErrorClass.REFUSED
    state = SourceState.REFUSED if refused else SourceState.FAILED
    return FetchOutcome(state, error_class, code, attempts=attempts, last_tried=TIME)


def known(*pairs: tuple[Request, FetchOutcome]) -> dict[str, Source]:
    return {request.request_id: source_of(request, outcome) for request, outcome in pairs}


def test_ten_ranges_of_one_video_are_one_job(data):
    requests = [Request("https://h.org/a", "l", i, float(i), i + 1.0) for i in range(10)]
    requests.append(Request("https://h.org/b", "l", 11))
    plan = plan_jobs(requests, {}, data)
    assert [(job.key, len(job.requests)) for job in plan.jobs] == [
        ("https://h.org/a", 10),
        ("https://h.org/b", 1),
    ]


def test_a_stored_video_serves_new_ranges_and_labels(data):
    old = Request("https://h.org/a", "l", 1, 0.0, 1.0, identity="Ann")
    new = [replace(old, line=7, identity="Anna"), replace(old, start=5.0, end=6.0)]
    plan = plan_jobs(new, known((old, stored(data))), data)
    assert not plan.jobs
    assert [(s.line, s.identity, s.start, s.state) for s in plan.up_to_date] == [
        (7, "Anna", 0.0, "stored"),
        (1, "Ann", 5.0, "stored"),
    ]
    assert plan.up_to_date[0].first_seen == TIME


def test_a_stored_video_whose_file_is_gone_or_changed_is_fetched_again(data):
    request = Request("https://h.org/a")
    outcome = stored(data)
    (data.root / outcome.path).write_bytes(b"other")
    assert plan_jobs([request], known((request, outcome)), data).jobs
    (data.root / outcome.path).unlink()
    assert plan_jobs([request], known((request, outcome)), data).jobs


@pytest.mark.parametrize(
    ("retry", "again"),
    [
        ("none", set()),
        ("transient", {"transient"}),
        ("permanent", {"permanent"}),
        ("all", {"transient", "permanent", "refused"}),
    ],
)
def test_retry_by_class(data, retry, again):
    requests = {kind: Request(f"https://h.org/{kind}") for kind in ErrorClass}
    failed = known(*((request, failure(kind, attempts=3)) for kind, request in requests.items()))
    jobs = plan_jobs(list(requests.values()), failed, data, retry).jobs
    assert {job.key.rsplit("/", 1)[1] for job in jobs} == again
    assert all(job.attempts == 3 for job in jobs)


def test_a_local_file_that_failed_is_always_tried_again(data):
    request = Request("/videos/a.mp4")
    failed = known((request, failure(ErrorClass.PERMANENT, "missing")))
    assert plan_jobs([request], failed, data).jobs
    assert not plan_jobs([request], failed, data, "none").jobs


def test_journal_then_table(data):
    wanted = (
        Request("https://h.org/a", "l", 1, 1.0, 2.0, "Ann", (0.0, 0.0, 5.0, 5.0), 10, 20),
        Request("https://h.org/a", "l", 2, license="CC BY"),
    )
    journal = Journal(data)
    journal.append(Job("https://h.org/a", wanted), stored(data))
    journal.note("a note")
    journal.close()
    ledger = Ledger(data)
    found = sources_of(wanted, ledger)
    assert [source.bbox for source in found] == [(0.0, 0.0, 5.0, 5.0), None]
    assert [source.license for source in found] == ["unknown", "CC BY"]
    ledger.compact(drop_journals=True)
    assert not journal_files(data)
    assert len(read_sources(data.sources)) == 2
    again = Ledger(data)
    assert sources_of(wanted, again) == found
    again.compact(drop_journals=True)


def test_a_journal_holds_enums_as_their_values(data):
    """So a journal that a version without enums left behind is read as well."""
    request = Request("https://h.org/a", bbox=(0.0, 0.0, 5.0, 5.0))
    journal = Journal(data)
    journal.append(Job(request.key, (request,)), stored(data))
    journal.close()
    line = journal.path.read_text()
    assert '"state": "stored", "error_class": ""' in line
    (record,) = read_journals(data)
    assert record.requests == (request,) and record.outcome.error_class is None


def test_the_latest_try_counts_and_first_seen_stays(data):
    request = Request("https://h.org/a")
    for outcome in (failure(ErrorClass.TRANSIENT), replace(stored(data), last_tried=LATER)):
        journal = Journal(data)
        journal.append(Job(request.key, (request,)), outcome)
        journal.close()
        Ledger(data).compact(drop_journals=True)
    (source,) = Ledger(data).sources.values()
    assert (source.state, source.first_seen, source.last_tried) == ("stored", TIME, LATER)


@given(st.integers(0, 400), st.binary(max_size=20))
def test_a_line_without_its_end_is_no_record(cut, noise):
    whole = b'{"outcome": 1}\n{"outcome": 2}\n{"note": "caf\xc3\xa9"}\n'
    records = list(parse_journal(whole[:cut]))
    assert records == list(parse_journal(whole))[: whole[:cut].count(b"\n")]
    assert list(parse_journal(whole + noise.replace(b"\n", b"")))[:3] == list(parse_journal(whole))


def test_a_full_disk_leaves_the_journal_as_it_was(data, monkeypatch):
    """/dev/full answers as a full disk does."""
    journal = Journal(data)
    journal.append(
        Job("https://h.org/a", (Request("https://h.org/a"),)), failure(ErrorClass.TRANSIENT)
    )
    before = journal.path.read_bytes()
    full = os.open("/dev/full", os.O_WRONLY)
    real, journal._descriptor = journal._descriptor, full
    with pytest.raises(NoRoom):
        journal.append(
            Job("https://h.org/b", (Request("https://h.org/b"),)), failure(ErrorClass.TRANSIENT)
        )
    os.close(full)
    journal._descriptor = real
    journal.close()
    assert journal.path.read_bytes() == before


def test_two_ingests_on_one_folder(data):
    """The second is refused; when the first is killed the kernel lets go of the folder."""
    script = """
        import sys, time
        from pathlib import Path
        from fsh.pipeline.locks import locked
        from fsh.schemas.places.layout import DataFolder
        with locked(DataFolder(Path(sys.argv[1]))):
            print("held", flush=True)
            time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(data.root)]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert holder.stdout.readline() == b"held\n"
    with (
        pytest.raises(FshError, match=f"another ingest .* .pid {holder.pid}"),
        locked(data),
    ):
        pass
    holder.kill()
    holder.communicate()
    with locked(data):
        pass


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(FshError, match="cannot be written"), locked(DataFolder(tmp_path / "data")):
        pass


def test_tombstones_are_hashes(data):
    assert not Tombstones.read(data).covers(key="yt-x", sha256="1", identity="Ann")
    Tombstones.read(data).adding(key="yt-x", identity="Ann").write(data)
    Tombstones.read(data).adding(sha256="ab").write(data)
    stones = Tombstones.read(data)
    assert stones.covers(key="yt-x") and stones.covers(identity="Ann")
    assert stones.covers(sha256="ab")
    assert not stones.covers(key="Ann", identity="yt-x")
    assert "Ann" not in Path(data.tombstones).read_text()

"""What several machines change at once in a store: the rate, numbers, turns, journals."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from fsh.pipeline.ingest import journal_files
from fsh.pipeline.ingest.journal import FetchOutcome, Job, Journal, read_journals
from fsh.pipeline.ingest.lists.requests import Request
from fsh.pipeline.ingest.progress import JournalTail
from fsh.pipeline.ingest.rate_limit import BURST, RateLimiter
from fsh.schemas.places.locks import taking_turns
from fsh.schemas.places.numbered import latest_of, make_next, version_of
from fsh.schemas.tables.records import SourceState


def test_the_rate_holds_for_all_who_share_a_store(s3_place):
    path, granted = s3_place.data.rate_limits, []
    limiters = [RateLimiter(path, {"h.org": 3600 * 20}, 0) for _ in range(4)]

    def acquire(limiter: RateLimiter) -> None:
        for _ in range(5):
            limiter.acquire("h.org")
            granted.append(time.time())

    began = time.time()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(acquire, limiters))
    for number, moment in enumerate(sorted(granted), 1):  # or seen later
        assert moment - began >= (number - BURST) / 20 - 0.001
    limiters[0].penalize("h.org", refused := time.time(), retry_after=1.0)
    limiters[1].acquire("h.org")
    assert time.time() - refused >= 1.0
    limiters[2].succeeded("h.org")
    assert latest_of(path)[0] > 20 and len(list(s3_place.files.records.glob("governor*"))) < 110


def test_who_looked_too_long_ago_does_not_make_an_old_number_again(s3_place):
    path = s3_place.data.records / "thing"
    for number in range(6):
        assert make_next(path, number, f"{number}".encode(), keep=2)
    assert not version_of(path, 2).exists()
    assert not make_next(path, 1, b"late", keep=2)  # its name was free
    assert latest_of(path) == (6, b"5")
    assert not make_next(path, 4, b"second", keep=2) and latest_of(path) == (6, b"5")


def test_turns_are_taken(s3_place):
    lock, inside, most = s3_place.data.lock("table"), [], []

    def turn(number: int) -> None:
        with taking_turns(lock, where=lock):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.05)
            inside.remove(number)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(turn, range(4)))
    assert most == [1] * 4


def test_a_journal_is_read_while_it_is_written(s3_place, monkeypatch):
    monkeypatch.setattr(journal_files, "_LARGE", 700)
    data, outcome = s3_place.data, FetchOutcome(SourceState.STORED)
    tail, urls, seen = JournalTail(data, "r"), [], []
    journals = [Journal(data, "r") for _ in range(2)] + [Journal(data, "other")]
    for number in range(9):
        url = f"https://h.org/{number}.mp4"
        journals[number % 3].append(Job(url, (Request(url),)), outcome)
        urls += [url] * (number % 3 < 2)
        seen += [record["requests"][0]["url"] for record in tail.new_records()]
    assert sorted(seen) == sorted(urls)
    assert sorted(r.requests[0].url for r in read_journals(data, "r")) == sorted(urls)
    assert len(list(s3_place.files.journals.glob("r*.jsonl"))) > 2

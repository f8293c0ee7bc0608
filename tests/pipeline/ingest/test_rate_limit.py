"""The rate limiter: rates, back-off, one bucket for threads, processes and runs."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsh.pipeline.ingest.failures import Failure
from fsh.pipeline.ingest.rate_limit import (
    BURST,
    MAX_STRIKES,
    MIN_STRIKE_SECONDS,
    HostState,
    RateLimiter,
    note_strike,
    take_token,
)


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def limiter_in(folder: Path, clock: Clock, **rates: float) -> RateLimiter:
    return RateLimiter(
        folder / "limits.json", rates, 3600.0, clock, clock.sleep, random=random.Random(1)
    )


def test_youtube_gets_300_an_hour(tmp_path):
    clock = Clock()
    limiter = limiter_in(tmp_path, clock, youtube=300)
    began = clock.now
    for _ in range(300 + BURST):
        limiter.acquire("youtube")
    assert clock.now - began == pytest.approx(3600, rel=0.01)


def test_local_files_and_loopback_have_no_limit(tmp_path):
    clock = Clock()
    limiter = limiter_in(tmp_path, clock)
    began = clock.now
    for host in ("", "127.0.0.1", "localhost"):
        assert sum(limiter.acquire(host) for _ in range(50)) == 0
    assert clock.now == began
    assert limiter.rate("elsewhere.org") == 3600


@given(
    st.floats(0.1, 100),
    st.integers(1, 10),
    st.lists(st.floats(0, 50), min_size=1, max_size=60),
)
def test_no_window_holds_more_than_the_bucket_allows(interval, burst, waits):
    host, now, slots = HostState(), 1000.0, []
    for wait in waits:
        now += wait
        host, slot = take_token(host, now, interval, burst)
        assert slot >= now
        slots.append(slot)
    for i, first in enumerate(slots):
        for j in range(i, len(slots)):
            assert j - i + 1 <= (slots[j] - first) / interval + burst + 1e-6


def test_strikes_in_a_row_double_the_pause_and_those_under_way_count_once():
    host, pauses, now = HostState(), [], 1000.0
    for _ in range(5):
        host = note_strike(host, now, now, 1.0, None, 1.0)
        assert host == note_strike(host, now, now - 0.5, 1.0, None, 1.0)
        pauses.append(host.blocked_until - now)
        now = host.blocked_until + 0.1
    assert pauses == pytest.approx([1, 2, 4, 8, 16])


def test_retry_after_is_honoured_and_bounded():
    host = note_strike(HostState(), 1000.0, 1000.0, 1.0, 30.0, 0.5)
    assert host.blocked_until == 1030.0
    host = note_strike(HostState(), 1000.0, 1000.0, 1.0, 10**6, 0.5)
    assert host.blocked_until == 1000.0 + 3600


def test_a_penalty_delays_all_who_share_the_file(tmp_path):
    clock = Clock()
    one, two = limiter_in(tmp_path, clock), limiter_in(tmp_path, clock)
    one.penalize("127.0.0.1", clock.now, retry_after=20)
    assert two.acquire("127.0.0.1") >= 20


def test_a_host_that_answers_nothing_else_is_not_asked_until_the_next_run(tmp_path):
    clock = Clock()
    limiter = limiter_in(tmp_path, clock)
    began = clock.now
    for _ in range(10 * MAX_STRIKES):
        try:
            limiter.acquire("host.org")
        except Failure as failure:
            assert (failure.error_class, failure.code) == ("transient", "host_gave_up")
            break
        limiter.penalize("host.org", clock.now)
    assert MIN_STRIKE_SECONDS <= clock.now - began < 3 * MIN_STRIKE_SECONDS
    limiter.forget_strikes()
    limiter.acquire("host.org")
    limiter.penalize("host.org", clock.now)
    limiter.succeeded("host.org")
    assert json.loads(limiter.path.read_text())["host.org"]["strikes"] == 0


def test_the_rate_holds_over_runs_and_a_damaged_file_counts_as_empty(tmp_path):
    clock = Clock()
    for _ in range(BURST):
        limiter_in(tmp_path, clock, youtube=60).acquire("youtube")
    assert limiter_in(tmp_path, clock, youtube=60).acquire("youtube") == pytest.approx(60, abs=1)
    (tmp_path / "limits.json").write_text('{"youtube": {"next')
    assert limiter_in(tmp_path, clock, youtube=60).acquire("youtube") == 0


def test_a_clock_that_is_set_back_makes_no_wait_longer(tmp_path):
    clock, slept = Clock(), [0.0]
    limiter = limiter_in(tmp_path, clock, youtube=60)

    def sleep(seconds: float) -> None:
        slept[0] += seconds
        clock.sleep(seconds)
        if 5 < slept[0] <= 5.5:
            clock.now -= 400 * 86_400
        assert slept[0] < 200

    limiter.sleep = sleep
    for _ in range(20):
        limiter.acquire("youtube")
        if slept[0] > 20:
            break
    assert slept[0] == pytest.approx(60, abs=2)


def test_waiting_ends_when_the_run_is_stopped(tmp_path):
    clock = Clock()
    limiter = limiter_in(tmp_path, clock)
    limiter.penalize("host.org", clock.now, retry_after=1000)
    limiter.stopped = lambda: clock.now > 1e9 + 5
    with pytest.raises(Failure) as caught:
        limiter.acquire("host.org")
    assert caught.value.code == "stopped"


def test_threads_share_one_bucket(tmp_path):
    """20 threads, each with a rate limiter of its own, at 50 a second: real time, real locks."""

    def ask(_: int) -> tuple[float, float]:
        limiter, asked = RateLimiter(path, {"host": 180_000}, 0, sleep=time.sleep), time.time()
        limiter.acquire("host")
        return asked, time.time()

    path = tmp_path / "limits.json"
    with ThreadPoolExecutor(20) as pool:
        require_rate(list(pool.map(ask, range(40))), 50)


def test_processes_share_one_bucket(tmp_path):
    script = """
        import sys, time
        from pathlib import Path
        from fsh.pipeline.ingest.rate_limit import RateLimiter
        limiter = RateLimiter(Path(sys.argv[1]), {"host": 72_000}, 0)
        for _ in range(10):
            asked = time.time()
            limiter.acquire("host")
            print(asked, time.time())
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "limits.json")]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(3)
    ]
    lines = [line for child in children for line in child.communicate()[0].splitlines()]
    assert len(lines) == 30
    require_rate([tuple(map(float, line.split())) for line in lines], 20)


def require_rate(turns: list[tuple[float, ...]], rate: float) -> None:
    """That nothing was granted before its turn; a busy machine may see it later.

    Args:
        turns: when each was asked for and granted, seconds.
        rate: that many a second, after the first burst.
    """
    began = min(asked for asked, _ in turns)
    for number, granted in enumerate(sorted(granted for _, granted in turns), 1):
        assert granted - began >= (number - BURST) / rate - 0.001

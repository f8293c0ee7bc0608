"""Connections on this machine do not go through a proxy."""

from __future__ import annotations

import os
import urllib.request

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from fsh.pipeline.engine.runner import Engine, opened
from fsh.pipeline.engine.stop_signal import stop_signal
from fsh.pipeline.engine.ticket import Ticket
from fsh.pipeline.local_connections import keep_local_connections_direct, proxy_variables
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.progress import Silent

#: Nobody answers there, and nobody refuses.
NOWHERE = "http://10.255.255.1:3128"
NAMES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "ftp_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in (*NAMES, *map(str.upper, NAMES), "no_grpc_proxy"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_without_a_proxy_nothing_changes():
    before = dict(os.environ)
    keep_local_connections_direct()
    assert dict(os.environ) == before and proxy_variables() == []


def test_exceptions_are_added_and_those_that_are_there_stay(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", NOWHERE)
    monkeypatch.setenv("NO_PROXY", "example.org, .lan")
    for _ in range(2):
        keep_local_connections_direct()
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        known = os.environ[name].split(",")
        assert known[:2] == ["example.org", ".lan"]
        assert {"localhost", "127.0.0.1", "::1"} <= set(known) and len(set(known)) == len(known)
    assert urllib.request.proxy_bypass("127.0.0.1") and urllib.request.proxy_bypass("example.org")
    assert not urllib.request.proxy_bypass("example.com")
    monkeypatch.setenv("no_proxy", "*")
    keep_local_connections_direct()
    assert os.environ["no_proxy"] == "*"


@pytest.mark.parametrize(
    "name", ["http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "grpc_proxy"]
)
def test_two_workers_reach_each_other(tmp_path, monkeypatch, name):
    monkeypatch.setenv(name, NOWHERE)
    data = DataFolder(tmp_path)

    def graph(pipeline: beam.Pipeline) -> None:
        squares = pipeline | beam.Create([1, 2, 3]) | beam.Reshuffle() | beam.Map(lambda x: x * x)
        assert_that(squares, equal_to([1, 4, 9]))

    data.records.mkdir(parents=True)
    with (
        stop_signal(data, "shard") as stop,
        opened(Engine(workers=2), Ticket.of(data, stop, elsewhere=False), Silent()) as at_work,
    ):
        at_work.run(graph)

"""``fsh forget`` in an object store: the bytes that it leaves in a folder, whatever is killed."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from command import fsh as fsh_command
from erasable import CONFIG, make, reshard
from object_store import BUCKET, Place, copy_folder, objects, proxied, using

from fsh.data_places import data_folder
from fsh.dataset_making import check_shards
from fsh.erasure import check_forgotten
from fsh.pipeline.erasure.erase import erase
from fsh.pipeline.erasure.plan import plan_erasure
from fsh.pipeline.erasure.search import find_remnants
from fsh.pipeline.ingest.journal import FetchOutcome, Job, Journal
from fsh.pipeline.ingest.lists.requests import Request
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.local_copies import opened
from fsh.schemas.shards.card import DatasetCard
from fsh.schemas.tables.parquet import read_sources

LABELS = ["ann", "bob", "", "", "cyd", "dan", "eve", "ann", "gus", "jo"]

_CHILD = """
import sys
from erasable import CONFIG
from fsh.data_places import data_folder
from fsh.pipeline.erasure.erase import erase
from fsh.pipeline.erasure.plan import plan_erasure
data = data_folder(sys.argv[1])
erase(data, plan_erasure(data, sys.argv[2:]), config=CONFIG)
"""


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> DataFolder:
    data = make(tmp_path_factory.mktemp("made") / "data", LABELS)
    Tombstones().adding(identity="somebody else").write(data)  # fixes the salt
    return data


class Copied(Place):
    def contents(self) -> dict[str, bytes]:
        """Every object but the locks and the governor's old state."""
        found = objects(self.served, self.name)
        return {name: found[name] for name in found if "/.lock" not in name}


@pytest.fixture
def place(s3_store, pristine, tmp_path) -> Iterator[Copied]:
    with using(s3_store[1], tmp_path / "cache"):
        yield Copied(s3_store[0], tmp_path.name, pristine)


def erase_targets(data: DataFolder, *targets: str) -> None:
    erase(data, plan_erasure(data, targets), config=CONFIG)


def files_of(data: DataFolder) -> dict[str, bytes]:
    paths = [path for path in data.root.rglob("*") if path.is_file()]
    found = {str(path.relative_to(data.root)): path.read_bytes() for path in paths}
    return {name: found[name] for name in found if "/.lock" not in name}


def targets_of(pristine: DataFolder) -> list[str]:
    return ["ann", read_sources(pristine.sources)[2].video_id]


def without_marks(found: dict[str, bytes]) -> dict[str, bytes]:
    """In a store, the content of the shards of which machines may have copies is marked as well."""
    known = json.loads(found["sources/tombstones.json"])
    return {**found, "sources/tombstones.json": json.dumps(known["held"]).encode()}


def test_a_store_is_left_as_a_folder_is(place, pristine, tmp_path):
    local = DataFolder(tmp_path / "local")
    local.root.mkdir()
    copy_folder(pristine.root, tmp_path / "copied", "set")
    (tmp_path / "copied" / BUCKET / "set").rename(local.root / "set")
    local = DataFolder(local.root / "set")
    targets = targets_of(pristine)
    planned = plan_erasure(local, targets).to_json()
    assert plan_erasure(place.data, targets).to_json() == planned
    there = [one for one in find_remnants(local, targets) if (local.root / one.where).is_file()]
    assert find_remnants(place.data, targets) == there != []
    erase_targets(local, *targets)
    erase_targets(place.data, *targets)
    assert without_marks(place.contents()) == without_marks(files_of(local))
    assert find_remnants(place.data, targets) == [] and check_shards(place.address).sound
    before = place.contents()
    assert plan_erasure(place.data, targets).again
    erase_targets(place.data, *targets)
    assert place.contents() == before
    reshard(place.data)  # and `fsh shard` has nothing to do
    assert place.contents() == before


def test_an_unknown_target_and_no_data_are_told(place):
    with pytest.raises(FshError, match="nothing here is called nobody"):
        plan_erasure(place.data, ["nobody"])
    with pytest.raises(FshError, match="no data here"):
        plan_erasure(data_folder(f"s3://{BUCKET}/not-there"), ["nobody"])


def test_journals_work_pages_and_the_governor_are_searched(place, pristine):
    source = read_sources(pristine.sources)[0]
    journal, outcome = Journal(place.data), FetchOutcome.of_source(source)
    request = Request(source.url, identity="ann")
    journal.append(Job(request.key, (request,)), outcome)
    (place.files.videos / f"{source.video_id}.webm").write_bytes(b"another container")
    (place.files.root / "pages").mkdir()
    (place.files.root / "pages" / "a.html").write_text(f"<p>{source.video_id}</p>")
    (place.files.records / "governor.json.000001").write_text('{"host0.example": {}, "o.org": {}}')
    erase_targets(place.data, source.video_id)
    assert find_remnants(place.data, [source.url, source.video_id, source.sha256]) == []
    assert not (place.files.root / "pages" / "a.html").exists()
    state = (place.files.records / "governor.json.000001").read_text()
    assert json.loads(state).keys() == {"o.org"}


def test_copies_on_machines_go(place, pristine, tmp_path, monkeypatch):
    source, data = read_sources(pristine.sources)[1], place.data
    shards = DatasetCard.read(data.card).shards
    (touched,) = plan_erasure(data, ["bob"]).shards

    def fetch() -> set[str]:
        for info in shards:
            opened(data.root / info.path, info.sha256).close()
        opened(data.root / source.path, source.sha256).close()
        opened(data.root / source.path).close()
        return copies()

    def copies() -> set[str]:
        cache = Path(os.environ["FSH_CACHE"])
        return {path.name.partition(".")[0] for path in cache.glob("[0-9a-f]*.*")}

    def put(text: bytes) -> str:
        """A copy of a shard of before an earlier `fsh shard`, which no card names any more."""
        name = hashlib.sha256(text).hexdigest()
        (Path(os.environ["FSH_CACHE"]) / f"{name}.tar").write_bytes(text)
        return name

    here = fetch() | {put(b"bob, as he was")}
    half = tmp_path / "cache" / "spans" / ".v-0-fsh-1-00000000-00000000.tmp"
    half.mkdir(parents=True)  # what a killed `fsh shard` was making
    os.utime(half, (0, 0))
    monkeypatch.setenv("FSH_CACHE", str(tmp_path / "elsewhere"))
    assert fetch() | {put(b"bob, as he was")} == here and len(here) == len(shards) + 3
    monkeypatch.setenv("FSH_CACHE", str(tmp_path / "cache"))
    done = fsh_command("forget", "bob", "--data", place.address, "--yes", cwd=tmp_path)
    assert done.returncode == 0 and "older versions" in done.stderr, done.stderr
    left = {info.sha256 for info in shards if info.path != touched}
    assert copies() == left and not half.exists()
    monkeypatch.setenv("FSH_CACHE", str(tmp_path / "elsewhere"))
    assert copies() == here
    assert place.data and copies() == left  # whatever opens the set there
    later = put(b"of another set")
    assert place.data and copies() == left | {later}  # nothing more was erased


def test_copies_go_where_no_card_says_what_they_are(place, pristine, tmp_path):
    shard = DatasetCard.read(place.data.card).shards[0]
    opened(place.data.root / shard.path, shard.sha256).close()
    (place.files.root / "dataset.json").write_text("cut sho")
    erase_targets(place.data, "bob")
    assert place.data
    assert list((tmp_path / "cache").glob("[0-9a-f]*.*")) == []


def test_throttling_and_lost_connections_change_nothing(s3_store, pristine, tmp_path, monkeypatch):
    monkeypatch.setattr("fsh.schemas.places.stores._PAUSE", 0.5)
    targets = targets_of(pristine)
    with using(s3_store[1], tmp_path / "cache"):
        plain = Copied(s3_store[0], f"{tmp_path.name}-plain", pristine)
        erase_targets(plain.data, *targets)
    with proxied(s3_store[1]) as proxy, using(proxy.port, tmp_path / "cache"):
        place = Copied(s3_store[0], tmp_path.name, pristine)
        data = place.data
        fates = itertools.cycle([*["pass"] * 4, "slow down", *["pass"] * 4, "drop", "cut"])
        proxy.decide = lambda line: next(fates)
        erase_targets(data, *targets)
    assert place.contents() == plain.contents()


def killed(s3_store, pristine: DataFolder, tmp_path: Path, places: Iterable[int]) -> int:
    """Kill an erasure at its n-th request that changes anything, and go on; how often that was."""
    targets, kills = targets_of(pristine), 0
    with proxied(s3_store[1]) as proxy, using(proxy.port, tmp_path / "cache"):
        plain = Copied(s3_store[0], f"{tmp_path.name}-plain", pristine)
        erase_targets(plain.data, *targets)
        wanted = plain.contents()
        for die_at in places:
            place = Copied(s3_store[0], f"{tmp_path.name}-{die_at}", pristine)
            command = [sys.executable, "-c", _CHILD, place.address, *targets]
            paths = os.pathsep.join(sys.path)
            left = itertools.count()
            child = None

            def decide(line: str) -> str:
                changes = line.startswith(("PUT", "POST", "DELETE")) and "/.lock" not in line
                if not changes or next(left) < die_at:  # noqa: B023
                    return "pass"
                child.kill()  # noqa: B023
                return "drop"

            child = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths})
            proxy.decide = decide
            assert child.wait(900) in (0, -signal.SIGKILL)
            proxy.decide = lambda line: "pass"
            if child.returncode == 0:
                break
            kills += 1
            erase_targets(place.data, *targets)
            found = place.contents()
            assert found == wanted, [
                n for n in {**found, **wanted} if found.get(n) != wanted.get(n)
            ]
    return kills


def test_a_kill_midway_leaves_nothing_undone(s3_store, pristine, tmp_path):
    assert killed(s3_store, pristine, tmp_path, [6]) == 1


@pytest.mark.slow
def test_a_kill_anywhere_leaves_nothing_undone(s3_store, pristine, tmp_path):
    assert killed(s3_store, pristine, tmp_path, range(0, 60, 5)) > 3


@pytest.mark.slow
def test_the_command(place, tmp_path):
    at = ("--data", place.address)
    before = place.contents()
    planned = fsh_command("forget", "bob", *at, "--dry-run", "--json", cwd=tmp_path)
    assert planned.returncode == 0 and json.loads(planned.stdout)["done"] is False, planned.stderr
    assert place.contents() == before
    assert fsh_command("forget", "--check", "bob", *at, cwd=tmp_path).returncode == 1
    done = fsh_command("forget", "bob", *at, "--yes", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["done"] and len(result["videos"]) == 1 and not result["originals"]
    assert check_forgotten(["bob", *result["videos"]], place.address, runs=tmp_path).absent

"""A data set in an object store is read as the same one in a folder is; a real S3 server serves it.

Between them stands whatever happens on a network: throttling, lost connections, a server that ends.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import erasable
import pytest
from command import fsh as fsh_command
from object_store import BUCKET, copy_folder, proxied, s3_server, using
from tiny_data import write_data
from tiny_run import tiny_config, tiny_folder
from typer.testing import CliRunner

import fsh
from fsh.cli.commands import app
from fsh.clip_pages import clip_application
from fsh.data_places import data_folder
from fsh.dataset_making import check_shards
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.local_copies import make_room, opened
from fsh.schemas.progress import Silent
from fsh.schemas.tables.parquet import read_clips
from fsh.trainer.data.episodes import Batch, EpisodeStream
from fsh.trainer.data.loader import loader
from fsh.trainer.data.plan import plan_data
from fsh.trainer.training.loop import train


@dataclass(frozen=True)
class Served:
    """A bucket, the port that it is served at, and where copies of it lie."""

    folder: Path
    port: int
    cache: Path


@pytest.fixture
def served(s3_store, tmp_path) -> Iterator[Served]:
    folder, port = s3_store
    with using(port, tmp_path / "cache"):
        yield Served(folder, port, tmp_path / "cache")


@pytest.fixture
def local(tmp_path) -> DataFolder:
    return write_data(tmp_path / "data", people=4, samples=6, frames=5, shards=4)


def batches(data: DataFolder, workers: int, **options) -> Iterator[Batch]:
    plan = plan_data(data, workers=workers)
    shape = {"crop_size": 64, "image_size": 64, "frames": 2, "batch": 3, "seed": 5}
    stream = EpisodeStream(plan.shards, opener=plan.opener, **shape, **options)
    return loader(stream, plan.workers)


def same(one: Batch, other: Batch) -> bool:
    parts = ("images", "landmark_images", "points", "real")
    pictures = all(getattr(one, part).equal(getattr(other, part)) for part in parts)
    return pictures and one.keys == other.keys and one.videos == other.videos


@pytest.mark.parametrize("workers", [0, 2])
def test_the_trainer_reads_the_same_in_the_same_order(served, local, tmp_path, workers):
    address = copy_folder(local.root, served.folder, f"{tmp_path.name}-set")
    pairs = zip(batches(local, workers), batches(data_folder(address), workers), strict=False)
    assert all(same(*pair) for pair in itertools.islice(pairs, 20))


def test_a_small_cache_gives_the_same_and_stays_small(served, local, tmp_path, monkeypatch):
    sizes = [path.stat().st_size for path in local.all_shards()]
    monkeypatch.setenv("FSH_CACHE_GB", str(2.5 * max(sizes) / 1e9))
    address = copy_folder(local.root, served.folder, f"{tmp_path.name}-set")
    pairs = zip(batches(local, 0), batches(data_folder(address), 0), strict=False)
    for pair in itertools.islice(pairs, 30):  # several epochs
        assert same(*pair)
        held = sum(path.stat().st_size for path in served.cache.glob("*.tar"))
        # What is open stays: the shard that is read, the one before it in the shuffle buffer …
        assert held <= sum(sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FSH_CACHE_GB", "0")
        del pair, pairs
        make_room(served.cache, 0)
    assert list(served.cache.glob("*.tar")) == []


def test_copies_that_are_open_stay_and_the_oldest_go_first(tmp_path, monkeypatch):
    monkeypatch.setenv("FSH_CACHE_GB", str(250 / 1e9))
    for number, name in enumerate("abc"):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (number, 0))
    (tmp_path / ".lock-aa").touch()
    make_room(tmp_path, 50)
    assert {path.name for path in tmp_path.iterdir()} == {"b", "c", ".lock-aa"}
    monkeypatch.setenv("FSH_CACHE_GB", "0")
    monkeypatch.setenv("FSH_CACHE", str(tmp_path))
    with (tmp_path / "b").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        make_room(tmp_path, 50)
    assert {path.name for path in tmp_path.iterdir()} == {"b", ".lock-aa"}


def test_what_is_here_needs_no_store(local, tmp_path, monkeypatch):
    monkeypatch.setenv("FSH_CACHE", str(tmp_path / "cache"))
    with s3_server(tmp_path / "served") as port, using(port, tmp_path / "cache"):
        address = copy_folder(local.root, tmp_path / "served", "set")
        ours, theirs = batches(local, 0), batches(data_folder(address), 0)
        pairs = zip(ours, theirs, strict=False)
        assert all(same(*pair) for pair in itertools.islice(pairs, 8))  # an epoch: 24 samples
    assert all(same(*pair) for pair in itertools.islice(pairs, 16))


def test_throttling_and_lost_connections_change_nothing(served, local, tmp_path, monkeypatch):
    address = copy_folder(local.root, served.folder, f"{tmp_path.name}-set")
    monkeypatch.setattr("fsh.schemas.places.local_copies._BLOCK", 50_000)
    with proxied(served.port) as proxy, using(proxy.port, tmp_path / "cache"):
        fates = itertools.cycle(["slow down", "pass", "cut", "pass", "drop", "pass", "pass"])
        data = data_folder(address)
        proxy.decide = lambda line: next(fates) if line.startswith("GET") else "pass"
        before = len(proxy.requests)
        pairs = zip(batches(local, 0), batches(data, 0), strict=False)
        assert all(same(*pair) for pair in itertools.islice(pairs, 8))
        assert len(proxy.requests) - before > 20


def test_a_shard_that_was_changed_is_told_in_one_line(served, local, tmp_path):
    name = f"{tmp_path.name}-set"
    address = copy_folder(local.root, served.folder, name)
    data = data_folder(address)
    for shard in DataFolder(served.folder / BUCKET / name).all_shards():
        content = bytearray(shard.read_bytes())
        content[3000] ^= 1
        shard.write_bytes(content)
    with pytest.raises(FshError, match=r"s3://.*tar: is not what the data set says of it"):
        next(batches(data, 0))
    DataFolder(served.folder / BUCKET / name).all_shards()[0].unlink()
    with pytest.raises(FshError, match=r"s3://.*000000.tar: this shard is missing"):
        batches(data, 0)


def test_a_changed_object_is_copied_anew(served):
    data = data_folder(f"s3://{BUCKET}/changing")
    (data.root / "film.mp4").write_bytes(b"first")
    with opened(data.root / "film.mp4") as one:
        (data.root / "film.mp4").write_bytes(b"other")
        with opened(data.root / "film.mp4") as other, opened(data.root / "film.mp4") as again:
            assert (one.read(), other.read()) == (b"first", b"other")
            assert other.name == again.name != one.name


def test_inspecting_checking_and_iterating_give_what_a_folder_gives(served, tmp_path):
    folder = erasable.make(tmp_path / "data", ["a", "b", "", "c"])
    address = copy_folder(folder.root, served.folder, f"{tmp_path.name}-set")
    for data, page in ((folder.root, "local.html"), (address, "remote.html")):
        fsh.inspect(data, tmp_path / page)
    assert (tmp_path / "local.html").read_bytes() == (tmp_path / "remote.html").read_bytes()
    assert check_shards(address).to_json() == check_shards(folder.root).to_json()
    assert check_shards(address).sound
    here, there = fsh.open_dataset(folder.root), fsh.open_dataset(address)
    assert [s.key for s in here] == [s.key for s in there] and len(there)
    assert there.clips() == here.clips() and there.sources() == here.sources()
    shard = next((served.folder / BUCKET / f"{tmp_path.name}-set").rglob("fsh-*.tar"))
    shard.write_bytes(shard.read_bytes()[:-512])
    assert not check_shards(address).sound


def test_the_command_line(served, tmp_path):
    folder = erasable.make(tmp_path / "data", ["a", "b", "c"])
    address = copy_folder(folder.root, served.folder, f"{tmp_path.name}-set")
    done = fsh_command("inspect", "--data", address, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "inspect.html").is_file()


def asked(application, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """What an ASGI application answers."""
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST" if body else "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    asyncio.run(application(scope, receive, send))
    content = b"".join(one.get("body", b"") for one in sent[1:])
    return sent[0]["status"], content


def test_the_served_page_is_a_folders(served, tmp_path):
    folder = erasable.make(tmp_path / "data", ["a", "b", "", "c"])
    address = copy_folder(folder.root, served.folder, f"{tmp_path.name}-set")
    here, there = (clip_application(data, "t") for data in (folder, data_folder(address)))
    clips = [clip.clip_id for clip in read_clips(folder.clips)]
    paths = ["/t/", *(f"/t/clip/{clip}{end}" for clip in clips for end in ("", "?first"))]
    paths += ["/t/clip/v-0000000000000000_00000000_00"]
    answers = [asked(here, path) for path in paths]
    assert [asked(there, path) for path in paths] == answers
    assert [status for status, _ in answers] == [200] * (len(paths) - 1) + [404]
    shard = next((served.folder / BUCKET / f"{tmp_path.name}-set").rglob("fsh-train*.tar"))
    content = shard.read_bytes()
    shard.write_bytes(bytes(len(content)))
    name = "/".join(shard.parts[-3:])
    gone = [clip.clip_id for clip in read_clips(folder.clips) if clip.shard == name]
    there = clip_application(data_folder(address), "t")
    assert gone and all(asked(there, f"/t/clip/{clip}")[0] == 204 for clip in gone)


@pytest.mark.slow
def test_evaluating_gives_the_same_numbers(served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FSH_WEIGHTS", str(tmp_path / "weights"))
    train(tiny_folder(tmp_path / "seen"), tmp_path / "runs" / "a", tiny_config(steps=2), Silent())
    local = write_data(tmp_path / "data", people=2, samples=1, frames=6, split="test", first=7)
    address = copy_folder(local.root, served.folder, f"{tmp_path.name}-set")
    found = []
    for data in (str(local.root), address):
        words = ["evaluate", "--data", data, "--run", "runs/a", "--output", f"to-{len(found)}"]
        words += ["--shots", "1", "--frames", "3", "--held", "3", "--steps", "1", "--json", "-q"]
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        found.append(json.loads(result.stdout))
    assert found[0]["results"] == found[1]["results"] != []


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("s3://no-such-bucket/set", "there is no such bucket"),
        (f"s3://{BUCKET}/nothing-here", "no clips here → run `fsh shard` first"),
        ("nostore://x/y", "what reads such a store is not installed"),
        (Path("s3://lab/set"), "a Path cannot hold an address → give it as text"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(served, tmp_path, address, says):
    with pytest.raises(FshError) as told:
        fsh.inspect(address, tmp_path / "page.html")
    assert says in str(told.value) and "\n" not in str(told.value)


def test_wrong_keys_and_no_server_are_told_in_one_line(s3_store, tmp_path, monkeypatch):
    with using(s3_store[1], tmp_path / "cache"):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        with pytest.raises(FshError, match="store does not") as told:
            fsh.inspect(f"s3://{BUCKET}/set", tmp_path / "page.html")
        assert "\n" not in str(told.value)


def test_training_is_the_same_to_the_last_digit(served, tmp_path):
    local = tiny_folder(tmp_path / "data")
    address = copy_folder(local.root, served.folder, f"{tmp_path.name}-set")
    reports = [
        train(data, tmp_path / run, tiny_config(), Silent())
        for data, run in ((local, "local"), (data_folder(address), "remote"))
    ]
    assert reports[0].losses == reports[1].losses

"""Erasure: what is asked for is gone everywhere, the rest keeps its bytes, kills do no harm."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from command import fsh
from erasable import CONFIG, make, reshard
from kill_anywhere import contents
from places import LINKS, ROOT

from fsh.pipeline.dataset.sources import stored_sources
from fsh.pipeline.erasure.derived import trained_on
from fsh.pipeline.erasure.erase import forget
from fsh.pipeline.erasure.plan import plan
from fsh.pipeline.erasure.search import leftovers
from fsh.pipeline.ingest.journal import Journal, Outcome
from fsh.pipeline.ingest.ledger import Ledger
from fsh.pipeline.ingest.requests import Request
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.card import DatasetCard
from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256
from fsh.schemas.layout import DataFolder
from fsh.schemas.tables import CLIPS, SOURCES, read_table, to_table, write_table

LABELS = ["ann", "bob", "", "", "", "cyd", "dan", "eve", "fay", "ann", "gus", "hal", "ida", "jo"]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> DataFolder:
    return make(tmp_path_factory.mktemp("made") / "data", LABELS)


@pytest.fixture
def data(pristine, tmp_path) -> DataFolder:
    shutil.copytree(pristine.root, tmp_path / "data", symlinks=True)
    return DataFolder(tmp_path / "data")


def erase(data: DataFolder, *targets: str) -> None:
    forget(data, plan(data, targets), config=CONFIG)


def rows_of(data: DataFolder) -> list[dict]:
    return read_table(data.clips, CLIPS).to_pylist()


def sources_of(data: DataFolder) -> list[dict]:
    return read_table(data.sources, SOURCES).to_pylist()


def ways(data: DataFolder) -> dict[str, str]:
    """Every way to name the second video, bob's."""
    row = sources_of(data)[1]
    return {
        "id": row["video_id"],
        "label": "bob",
        "path": row["url"],
        "stored": str(data.root / row["path"]),
        "hash": row["sha256"],
    }


@pytest.mark.parametrize("way", ["id", "label", "path", "stored", "hash"])
def test_a_video_goes_by_any_of_its_names(data, way):
    names = ways(data)
    before = contents(data.root)
    found = leftovers(data, list(names.values()))
    assert {place.where.split("/")[0] for place in found} >= {
        "clips",
        "inspect.html",
        "shards",
        "sources",
        "videos",
        "work",
    }
    touched = set(plan(data, [names[way]]).shards)
    erase(data, names[way])
    assert leftovers(data, [n for w, n in names.items() if w != "label"]) == []
    after = contents(data.root)
    changed = {name for name in after if after[name] != before.get(name)}
    shards = {name for name in changed if name.endswith(".tar")}
    assert shards == touched & after.keys() and len(shards) <= 1
    assert Path(names["path"]).is_file(), "the user's own file is not fsh's to remove"


def test_sharding_again_changes_nothing(data):
    erase(data, "ann", ways(data)["id"])
    before = contents(data.root)
    reshard(data)
    assert contents(data.root) == before
    card = DatasetCard.read(data.card)
    rows = rows_of(data)
    assert card.counts["clips"] == sum(row["kept"] for row in rows) == 10
    for info in card.shards:
        assert file_sha256(data.root / info.path) == info.sha256
    for row in rows:
        if row["kept"]:
            content = (data.root / row["shard"]).read_bytes()[row["offset"] :]
            assert content.startswith(f"{row['clip_id']}_0000.json".encode())


def test_nobody_is_renamed_moved_or_dealt_anew(data):
    """Each of the videos is erased, with whatever names, splits and shards depend on it."""
    before = {row["clip_id"]: row for row in rows_of(data)}
    unlabeled = [row["video_id"] for row in sources_of(data) if not row["identity"]]
    for video in [*unlabeled[:2], *[r["video_id"] for r in sources_of(data) if r["identity"]][:6]]:
        erase(data, video)
        reshard(data)
        for row in rows_of(data):
            was = before[row["clip_id"]]
            for column in ("identity", "identity_from", "split", "shard"):
                assert row[column] == was[column]


def test_it_may_be_repeated(data):
    erase(data, "ann")
    before = contents(data.root)
    again = plan(data, ["ann"])
    assert again.again
    forget(data, again, config=CONFIG)
    assert contents(data.root) == before


def test_what_was_never_here_is_told(data):
    before = contents(data.root)
    with pytest.raises(FshError, match="nothing here is called /tmp, nobody"):
        plan(data, ["ann", "nobody", "/tmp"])
    assert contents(data.root) == before


def test_the_tombstones_name_nobody(data):
    names = ways(data)
    erase(data, *names.values())
    text = data.tombstones.read_text()
    assert not any(name in text for name in names.values())
    erased = Tombstones.read(data)
    assert erased.covers(identity="bob") and erased.covers(sha256=names["hash"])
    other = Tombstones().adding(identity="bob")
    assert other.salt != erased.salt and not other.marks & erased.marks


def test_shard_refuses_the_same_content_under_another_name(data):
    row = sources_of(data)[1]
    erase(data, row["video_id"])
    rows = sources_of(data)
    other = {"video_id": "yt-aaaaaaaaaaa", "url": "https://youtu.be/aaaaaaaaaaa", "identity": ""}
    write_table(to_table([*rows, row | other], SOURCES), data.sources, SOURCES)
    assert "yt-aaaaaaaaaaa" not in {source.video_id for source in stored_sources(data)}
    assert leftovers(data, []) != [], "an ingest of an older fsh let it in"


def test_shard_refuses_an_erased_label(data):
    erase(data, "ann")
    rows = sources_of(data)
    rows[0]["identity"] = "ann"
    write_table(to_table(rows, SOURCES), data.sources, SOURCES)
    assert rows[0]["video_id"] not in {source.video_id for source in stored_sources(data)}


def test_a_list_that_asks_again_is_not_written_down(data):
    wanted = Request(ways(data)["path"], list="/lists/a.csv", line=7, identity="bob")
    erase(data, "bob")
    ledger = Ledger(data)
    journal = Journal(data)
    refused = Outcome(state="refused", error_class="refused", error_code="erased", error="erased")
    from fsh.pipeline.ingest.ledger import Job

    journal.append(Job(wanted.key, (wanted,)), refused)
    journal.close()
    ledger.replay()
    ledger.compact(drop_journals=True)
    (row,) = [row for row in sources_of(data) if row["error_code"] == "erased"]
    assert (row["list"], row["line"], row["state"]) == ("/lists/a.csv", 7, "refused")
    assert leftovers(data, list(ways_after(wanted))) == []
    Ledger(data).compact(drop_journals=True)
    assert [row for row in sources_of(data) if row["error_code"] == "erased"] == [row]


def ways_after(request: Request) -> tuple[str, ...]:
    return request.url, request.identity, request.request_id


def test_journals_and_leftovers_of_kills_go(data):
    row = sources_of(data)[1]
    journal = Journal(data)
    outcome = Outcome.of(row | {"attempts": 1, "last_tried": "2026"})
    from fsh.pipeline.ingest.ledger import Job

    request = Request(row["url"], identity="bob")
    journal.append(Job(request.key, (request,)), outcome)
    os.write(journal._descriptor, b'{"requests": [{"url": "' + row["url"].encode())
    journal.close()
    shutil.copy(data.root / "inspect.html", data.shards / "train" / ".fsh-train-000000-x.tmp")
    (data.videos / ".incoming" / "tmp").mkdir(parents=True)
    (data.videos / f"{row['video_id']}.webm").write_bytes(b"another container")
    erase(data, row["video_id"])
    assert leftovers(data, [row["url"], row["video_id"], row["sha256"]]) == []
    assert "host0.example" in (data.sources.parent / "governor.json").read_text()
    erase(data, "https://host0.example/talk.mp4")
    assert json.loads((data.sources.parent / "governor.json").read_text()) == {"other.org": {}}


def test_everything_may_be_erased(data):
    erase(data, *{row["video_id"] for row in sources_of(data)})
    assert rows_of(data) == [] and DatasetCard.read(data.card).shards == ()
    assert not list(data.shards.rglob("*.tar")) and not list(data.videos.glob("*.mp4"))
    with pytest.raises(FshError, match="none of the videos"):
        stored_sources(data)


def killed(pristine: DataFolder, tmp_path: Path, every: int) -> int:
    shutil.copytree(pristine.root, tmp_path / "data", symlinks=True)
    Tombstones().add(DataFolder(tmp_path / "data"), identity="somebody else")  # fixes the salt
    script = ROOT / "tests" / "helpers" / "kill_anywhere.py"
    names = ["ann", sources_of(pristine)[2]["video_id"]]
    command = [sys.executable, script, tmp_path / "data", tmp_path / "scratch", every, *names]
    paths = os.pathsep.join([str(LINKS), *sys.path])
    done = subprocess.run(
        list(map(str, command)),
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done.stdout
    return int(lines[0])


def test_a_kill_anywhere_leaves_nothing_undone(pristine, tmp_path):
    assert killed(pristine, tmp_path, every=20) > 30


@pytest.mark.slow
def test_a_kill_everywhere_leaves_nothing_undone(pristine, tmp_path):
    assert killed(pristine, tmp_path, every=1) > 30


def test_the_runs_that_saw_it_are_told(data, tmp_path):
    video = ways(data)["id"]
    for name, videos in (("one", [video, "v-0000000000000000"]), ("two", ["v-0000000000000000"])):
        folder = tmp_path / "runs" / name / "checkpoints" / "step-00000001"
        folder.mkdir(parents=True)
        state = {"videos": videos, "files": {"average.safetensors": name}}
        (folder / "state.json").write_text(json.dumps(state))
        card = tmp_path / "people" / f"of {name}" / "person.json"
        card.parent.mkdir(parents=True)
        card.write_text(json.dumps({"about": {"made_from": {"model": name}}}))
    erase(data, video)
    (run,) = trained_on(tmp_path / "runs", tmp_path / "people", Tombstones.read(data))
    assert (Path(run["run"]).name, run["videos"]) == ("one", 1)
    assert run["checkpoints"] == ["step-00000001"]
    assert [Path(path).name for path in run["people"]] == ["of one"]


def test_the_command(data):
    place = data.root.parent
    before = contents(data.root)
    told = fsh("forget", "bob", "--dry-run", "--json", cwd=place)
    assert told.returncode == 0 and json.loads(told.stdout)["done"] is False, told.stderr
    assert contents(data.root) == before
    assert fsh("forget", "--check", "bob", cwd=place).returncode == 1
    unasked = fsh("forget", "bob", cwd=place)
    assert unasked.returncode == 1 and "--yes" in unasked.stderr and contents(data.root) == before
    done = fsh("forget", "bob", "--yes", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["done"] and len(result["videos"]) == 1 and result["originals"]
    checked = fsh("forget", "--check", "bob", *result["videos"], "--json", cwd=place)
    assert checked.returncode == 0 and json.loads(checked.stdout)["absent"]
    assert fsh("forget", "nobody", cwd=place).returncode == 1
    assert fsh("forget", cwd=place).returncode == 2


def test_a_plan_is_json(data):
    told = plan(data, ["ann"]).to_json()
    assert json.loads(json.dumps(told)) == told | {
        k: list(v) for k, v in told.items() if isinstance(v, tuple)
    }
    assert told.keys() < asdict(plan(data, ["ann"])).keys()

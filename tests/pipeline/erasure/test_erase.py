"""Erasure: what is asked for is gone everywhere, the rest keeps its bytes, kills do no harm."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from command import fsh
from erasable import CONFIG, make, reshard
from kill_anywhere import contents
from places import LINKS, ROOT

from fsh.pipeline.dataset.settling.selection import select_and_plan
from fsh.pipeline.dataset.shards import plans as shard_plans
from fsh.pipeline.dataset.sources import stored_sources
from fsh.pipeline.dataset.spans import packs as span_packs
from fsh.pipeline.dataset.spans.division import plan_spans
from fsh.pipeline.dataset.spans.store import read_finished
from fsh.pipeline.dataset.throughput import note_work
from fsh.pipeline.erasure.derived import runs_trained_on
from fsh.pipeline.erasure.erase import erase
from fsh.pipeline.erasure.plan import plan_erasure
from fsh.pipeline.erasure.search import find_remnants
from fsh.pipeline.ingest.journal import FetchOutcome, Job, Journal
from fsh.pipeline.ingest.ledger import Ledger
from fsh.pipeline.ingest.lists.requests import Request
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.card import DatasetCard
from fsh.schemas.tables.parquet import read_clips, read_sources, write_clips, write_sources
from fsh.schemas.tables.records import Clip, ErrorClass, Source, SourceState
from fsh.schemas.throughput import SpanWork

LABELS = ["ann", "bob", "", "", "", "cyd", "dan", "eve", "fay", "ann", "gus", "hal", "ida", "jo"]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> DataFolder:
    return make(tmp_path_factory.mktemp("made") / "data", LABELS)


@pytest.fixture
def data(pristine, tmp_path) -> DataFolder:
    shutil.copytree(pristine.root, tmp_path / "data", symlinks=True)
    return DataFolder(tmp_path / "data")


def erase_targets(data: DataFolder, *targets: str) -> None:
    erase(data, plan_erasure(data, targets), config=CONFIG)


def clips_of(data: DataFolder) -> list[Clip]:
    return read_clips(data.clips)


def sources_of(data: DataFolder) -> list[Source]:
    return read_sources(data.sources)


def names_of_bob(data: DataFolder) -> dict[str, str]:
    """Every name that the second video, bob's, can be erased by."""
    source = sources_of(data)[1]
    return {
        "id": source.video_id,
        "label": "bob",
        "path": source.url,
        "stored": str(data.root / source.path),
        "hash": source.sha256,
    }


@pytest.mark.parametrize("kind", ["id", "label", "path", "stored", "hash"])
def test_a_video_is_erased_by_any_of_its_names(data, kind):
    names = names_of_bob(data)
    before = contents(data.root)
    found = find_remnants(data, list(names.values()))
    assert {place.where.split("/")[0] for place in found} >= {
        "clips",
        "inspect.html",
        "shards",
        "sources",
        "videos",
        "work",
    }
    touched = set(plan_erasure(data, [names[kind]]).shards)
    erase_targets(data, names[kind])
    assert find_remnants(data, [name for kind, name in names.items() if kind != "label"]) == []
    after = contents(data.root)
    changed = {name for name in after if after[name] != before.get(name)}
    shards = {name for name in changed if name.endswith(".tar")}
    assert shards == touched & after.keys() and len(shards) <= 1
    assert Path(names["path"]).is_file(), "the user's own file is not fsh's to remove"


def test_sharding_again_changes_nothing(data):
    erase_targets(data, "ann", names_of_bob(data)["id"])
    before = contents(data.root)
    reshard(data)
    assert contents(data.root) == before
    card = DatasetCard.read(data.card)
    clips = clips_of(data)
    assert card.counts["clips"] == sum(clip.kept for clip in clips) == 10
    for info in card.shards:
        assert file_sha256(data.root / info.path) == info.sha256
    for clip in clips:
        if clip.kept:
            content = (data.root / clip.shard).read_bytes()[clip.offset :]
            assert content.startswith(f"{clip.clip_id}_0000.json".encode())


def test_other_clips_keep_identity_split_and_shard(data):
    """Each of the videos is erased, with whatever names, splits and shards depend on it."""
    before = {clip.clip_id: clip for clip in clips_of(data)}
    unlabeled = [source.video_id for source in sources_of(data) if not source.identity]
    labeled = [source.video_id for source in sources_of(data) if source.identity]
    for video in [*unlabeled[:2], *labeled[:6]]:
        erase_targets(data, video)
        reshard(data)
        for clip in clips_of(data):
            was = before[clip.clip_id]
            for name in ("identity", "identity_from", "split", "shard"):
                assert getattr(clip, name) == getattr(was, name)


def test_it_may_be_repeated(data):
    erase_targets(data, "ann")
    before = contents(data.root)
    again = plan_erasure(data, ["ann"])
    assert again.again
    erase(data, again, config=CONFIG)
    assert contents(data.root) == before


def test_an_unknown_target_is_an_error(data):
    before = contents(data.root)
    with pytest.raises(FshError, match="nothing here is called /tmp, nobody"):
        plan_erasure(data, ["ann", "nobody", "/tmp"])
    assert contents(data.root) == before


def test_the_tombstones_hold_no_name(data):
    names = names_of_bob(data)
    erase_targets(data, *names.values())
    text = data.tombstones.read_text()
    assert not any(name in text for name in names.values())
    erased = Tombstones.read(data)
    assert erased.covers(identity="bob") and erased.covers(sha256=names["hash"])
    other = Tombstones().adding(identity="bob")
    assert other.salt != erased.salt and not other.marks & erased.marks


def test_shard_refuses_the_same_content_under_another_name(data):
    source = sources_of(data)[1]
    erase_targets(data, source.video_id)
    url = "https://youtu.be/aaaaaaaaaaa"
    other = replace(source, video_id="yt-aaaaaaaaaaa", url=url, identity="")
    write_sources([*sources_of(data), other], data.sources)
    assert "yt-aaaaaaaaaaa" not in {one.video_id for one in stored_sources(data)}
    assert find_remnants(data, []) != [], "an ingest of an older fsh let it in"


def test_shard_refuses_an_erased_label(data):
    erase_targets(data, "ann")
    first, *rest = sources_of(data)
    write_sources([replace(first, identity="ann"), *rest], data.sources)
    assert first.video_id not in {one.video_id for one in stored_sources(data)}


def test_a_list_that_asks_again_is_not_written_down(data):
    wanted = Request(names_of_bob(data)["path"], list="/lists/a.csv", line=7, identity="bob")
    erase_targets(data, "bob")
    ledger = Ledger(data)
    journal = Journal(data)
    refused = FetchOutcome(
        SourceState.REFUSED, ErrorClass.REFUSED, error_code="erased", error="erased"
    )
    journal.append(Job(wanted.key, (wanted,)), refused)
    journal.close()
    ledger.replay()
    ledger.compact(drop_journals=True)
    (source,) = [source for source in sources_of(data) if source.error_code == "erased"]
    assert (source.list, source.line, source.state) == ("/lists/a.csv", 7, "refused")
    assert find_remnants(data, [wanted.url, wanted.identity, wanted.request_id]) == []
    Ledger(data).compact(drop_journals=True)
    assert [source for source in sources_of(data) if source.error_code == "erased"] == [source]


def test_journals_and_temporary_files_are_searched_and_removed(data):
    source = sources_of(data)[1]
    journal = Journal(data)
    outcome = FetchOutcome.of_source(replace(source, attempts=1, last_tried="2026"))
    request = Request(source.url, identity="bob")
    journal.append(Job(request.key, (request,)), outcome)
    os.write(journal._descriptor, b'{"requests": [{"url": "' + source.url.encode())
    journal.close()
    shutil.copy(data.root / "inspect.html", data.shards / "train" / ".fsh-train-000000-x.tmp")
    half = data.work / "v-0" / ".000000000-ab-fsh-1-00000000-00000000.tmp"
    half.mkdir(parents=True)  # what a killed `fsh shard` was writing of a span
    (half / "clip.tar").write_bytes(b"faces")
    (data.incoming / "tmp").mkdir(parents=True)
    (data.videos / f"{source.video_id}.webm").write_bytes(b"another container")
    erase_targets(data, source.video_id)
    assert find_remnants(data, [source.url, source.video_id, source.sha256]) == []
    assert "host0.example" in data.rate_limits.read_text()
    erase_targets(data, "https://host0.example/talk.mp4")
    assert json.loads(data.rate_limits.read_text()) == {"other.org": {}}


def test_packs_of_spans_are_searched_and_removed(data, monkeypatch):
    monkeypatch.setattr(span_packs, "LEAST", 1)
    spans = plan_spans(stored_sources(data), CONFIG.analysis.span)
    assert read_finished(data, spans, CONFIG.analysis) and list(data.packs.iterdir())
    video = sources_of(data)[1].video_id
    assert any(found.where.startswith("work/packs/") for found in find_remnants(data, [video]))
    erase_targets(data, video)
    assert find_remnants(data, [video]) == [] and not data.packs.exists()


def test_plans_that_a_killed_run_left_are_searched_and_removed(data):
    plans = select_and_plan(data, CONFIG)
    video = sources_of(data)[1].video_id
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_plans, "remove_folder", lambda folder: None)  # it was killed
        with shard_plans.stored(data, plans):
            pass
    assert any(found.where.startswith("work/plans/") for found in find_remnants(data, [video]))
    erase_targets(data, video)
    assert find_remnants(data, [video]) == [] and not data.shard_plans.exists()


def test_what_is_noted_of_an_erased_video_is_removed(data):
    spans = plan_spans(stored_sources(data), CONFIG.analysis.span)
    for span in spans:
        note_work(data, span, CONFIG.analysis, SpanWork(1.0, 1, 1.0, {}))
    video = sources_of(data)[1].video_id
    assert any(found.where.startswith("work/times/") for found in find_remnants(data, [video]))
    erase_targets(data, video)
    assert find_remnants(data, [video]) == [] and len(list(data.times.iterdir())) == len(spans) - 1


def test_everything_may_be_erased(data):
    erase_targets(data, *{source.video_id for source in sources_of(data)})
    assert clips_of(data) == [] and DatasetCard.read(data.card).shards == ()
    assert not list(data.shards.rglob("*.tar")) and not list(data.videos.glob("*.mp4"))
    with pytest.raises(FshError, match="none of the videos"):
        stored_sources(data)


def killed(pristine: DataFolder, tmp_path: Path, every: int) -> int:
    shutil.copytree(pristine.root, tmp_path / "data", symlinks=True)
    salted = Tombstones().adding(identity="somebody else")  # fixes the salt
    salted.write(DataFolder(tmp_path / "data"))
    script = ROOT / "tests" / "helpers" / "kill_anywhere.py"
    names = ["ann", sources_of(pristine)[2].video_id]
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


def test_runs_trained_on_an_erased_video_are_listed(data, tmp_path):
    video = names_of_bob(data)["id"]
    for name, videos in (("one", [video, "v-0000000000000000"]), ("two", ["v-0000000000000000"])):
        folder = tmp_path / "runs" / name / "checkpoints" / "step-00000001"
        folder.mkdir(parents=True)
        state = {"videos": videos, "files": {"average.safetensors": name}}
        (folder / "state.json").write_text(json.dumps(state))
        card = tmp_path / "people" / f"of {name}" / "person.json"
        card.parent.mkdir(parents=True)
        card.write_text(json.dumps({"about": {"made_from": {"model": name}}}))
    erase_targets(data, video)
    (run,) = runs_trained_on(tmp_path / "runs", tmp_path / "people", Tombstones.read(data))
    assert (Path(run.run).name, run.videos) == ("one", 1)
    assert run.checkpoints == ("step-00000001",)
    assert [Path(path).name for path in run.people] == ["of one"]


def test_the_command(data):
    place = data.root.parent
    before = contents(data.root)
    planned = fsh("forget", "bob", "--dry-run", "--json", cwd=place)
    assert planned.returncode == 0 and json.loads(planned.stdout)["done"] is False, planned.stderr
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
    planned = plan_erasure(data, ["ann"]).to_json()
    assert json.loads(json.dumps(planned)) == planned | {
        k: list(v) for k, v in planned.items() if isinstance(v, tuple)
    }
    assert planned.keys() < asdict(plan_erasure(data, ["ann"])).keys()


def test_a_duplicate_of_the_erased_names_nobody(data):
    bob, cyd = (source.video_id for source in sources_of(data) if source.identity in ("bob", "cyd"))
    motion = np.random.default_rng(0).integers(-40, 40, (40, 6)).astype(np.int8).tobytes().hex()
    for table in data.work.glob("v-*/*/clips.parquet"):
        (clip,) = read_clips(table)
        if clip.video_id in (bob, cyd):
            same = {"motion_print": motion, "embedding": np.eye(128, dtype=np.float32)[99]}
            write_clips([replace(clip, **same)], table)
    reshard(data)
    linked = [clip for clip in clips_of(data) if clip.duplicate_of]
    splits = {clip.split for clip in clips_of(data) if clip.video_id in (bob, cyd)}
    assert len(linked) == len(splits) == 1
    erase_targets(data, bob if bob in (linked[0].duplicate_of or "") else cyd)
    assert not any(clip.duplicate_of for clip in clips_of(data))
    assert find_remnants(data, []) == []
    assert f"{DatasetCard.read(data.card).counts['clips']:,} clips" in data.readme.read_text()
    files = [data.card, data.clips, data.readme, *data.all_shards()]
    before = [file.read_bytes() for file in files]
    reshard(data)
    assert [file.read_bytes() for file in files] == before

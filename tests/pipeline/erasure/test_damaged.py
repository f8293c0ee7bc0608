"""Erasure gets past damage: nobody erased stays in a damaged shard, others are left alone."""

from __future__ import annotations

import json
import shutil

import pytest
from command import fsh
from damage import DAMAGES
from erasable import CONFIG, contents, make, reshard

from fsh.pipeline.erasure.erase import erase
from fsh.pipeline.erasure.plan import plan_erasure
from fsh.pipeline.erasure.search import find_remnants
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.card import DatasetCard
from fsh.schemas.tables.parquet import read_clips

LABELS = ["ann", "bob", "", "", "cyd", "dan", "eve", "fay", "ann", "gus", "hal", "ida", "jo"]
BROKEN = ["cut in half", "empty", "zeroed", "zeroed inside", "noise", "a flipped name"]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> DataFolder:
    return make(tmp_path_factory.mktemp("made") / "data", LABELS)


@pytest.fixture
def data(pristine, tmp_path) -> DataFolder:
    shutil.copytree(pristine.root, tmp_path / "data", symlinks=True)
    return DataFolder(tmp_path / "data")


def shared_shard(data: DataFolder) -> tuple[str, str, set[str]]:
    """A shard of several people: its path, the video of one of them, the other clips' ids."""
    clips = [clip for clip in read_clips(data.clips) if clip.kept]
    for clip in clips:
        others = {c.clip_id for c in clips if c.shard == clip.shard} - {clip.clip_id}
        if others:
            return clip.shard, clip.video_id, others
    raise AssertionError("every shard holds one clip")


def forget(data: DataFolder, video: str) -> list[str]:
    lines: list[str] = []
    erase(data, plan_erasure(data, [video]), config=CONFIG, say=lines.append)
    return lines


@pytest.mark.parametrize("kind", BROKEN)
def test_a_damaged_shard_is_made_anew_without_the_erased(pristine, data, tmp_path, kind):
    name, video, others = shared_shard(data)
    whole = DataFolder(tmp_path / "whole")
    shutil.copytree(pristine.root, whole.root, symlinks=True)
    forget(whole, video)
    path = data.root / name
    path.write_bytes(DAMAGES[kind](path.read_bytes()))
    (line,) = forget(data, video)
    assert line.startswith(f"{name}: ") and "made anew" in line
    assert find_remnants(data, [video]) == []
    assert contents(data) == contents(whole), "as if it had not been damaged"
    assert {c.clip_id for c in read_clips(data.clips) if c.shard == name} == others


@pytest.mark.parametrize("kind", ["cut in half", "zeroed inside"])
@pytest.mark.parametrize("lost", ["work", "tar"])
def test_where_the_clips_are_gone_the_shard_is_removed_and_made_anew_later(data, kind, lost):
    name, video, others = shared_shard(data)
    path = data.root / name
    path.write_bytes(DAMAGES[kind](path.read_bytes()))
    if lost == "work":
        shutil.move(data.work, data.root.parent / "work")
    else:
        (other,) = data.work.glob(f"*/*/{sorted(others)[0]}.tar")
        other.write_bytes(other.read_bytes()[:700])
    lines = forget(data, video)
    assert any("removed with its" in line and "`fsh shard`" in line for line in lines)
    assert not path.exists()
    assert [p.what for p in find_remnants(data, [video]) if "not searched" not in p.what] == []
    assert name not in {info.path for info in DatasetCard.read(data.card).shards}
    left = {clip.clip_id: clip for clip in read_clips(data.clips)}
    assert all(left[clip].kept and left[clip].shard is None for clip in others)
    if lost == "work":
        shutil.move(data.root.parent / "work", data.work)
        shutil.rmtree(data.work / video)
        reshard(data)
        assert {c.clip_id for c in read_clips(data.clips) if c.shard == name} == others


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("noted", [True, False])
def test_damage_elsewhere_blocks_nothing_and_stays(data, kind, noted):
    _, video, _ = shared_shard(data)
    clips = read_clips(data.clips)
    own = {clip.shard for clip in clips if clip.video_id == video}
    other = next(info.path for info in DatasetCard.read(data.card).shards if info.path not in own)
    path = data.root / other
    path.write_bytes(DAMAGES[kind](path.read_bytes()))
    if not noted:
        shutil.rmtree(data.shard_notes)
    before = path.read_bytes()
    lines = forget(data, video)
    assert path.read_bytes() == before and other in {c.shard for c in read_clips(data.clips)}
    assert len(lines) == (0 if noted else 1)
    found = find_remnants(data, [video])
    assert {place.where for place in found} <= {other}
    assert all(place.what.startswith("cannot be read") for place in found)


def test_a_damaged_shard_that_no_table_knows_goes_if_it_names_the_erased(data):
    name, video, _ = shared_shard(data)
    stray = data.shard("train", 77)
    stray.write_bytes((data.root / name).read_bytes()[:-700])
    lines = forget(data, video)
    assert not stray.exists() and any("fsh-train-000077.tar" in line for line in lines)
    assert find_remnants(data, [video]) == []


def test_a_damaged_card_goes_and_is_said(data):
    _, video, _ = shared_shard(data)
    data.card.write_text("{")
    (line,) = forget(data, video)
    assert "dataset.json" in line and not data.card.exists()
    assert find_remnants(data, [video]) == []
    reshard(data)
    assert DatasetCard.read(data.card).shards


def test_a_damaged_table_is_one_line(data):
    _, video, _ = shared_shard(data)
    data.clips.write_bytes(data.clips.read_bytes()[:-50])
    with pytest.raises(FshError, match=r"clips\.parquet: not a readable Parquet.*fsh shard"):
        plan_erasure(data, [video])


def test_the_command_says_it_and_its_json_does(data):
    name, video, _ = shared_shard(data)
    path = data.root / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = fsh("forget", video, "--yes", "--json", cwd=data.root.parent)
    assert done.returncode == 0, done.stderr
    assert name in done.stderr and "internal error" not in done.stderr
    assert [line.split(":")[0] for line in json.loads(done.stdout)["damaged"]] == [name]
    assert fsh("forget", "--check", video, cwd=data.root.parent).returncode == 0

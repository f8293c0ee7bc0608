"""Shards: which clip lies where, and that the same clips give the same bytes."""

from __future__ import annotations

import hashlib
import os
import tarfile
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsh.pipeline.dataset.shards.notes import ShardNote, note_of
from fsh.pipeline.dataset.shards.plans import ShardClip, plan_shards, shard_count, stored
from fsh.pipeline.dataset.shards.writing import DamagedClip, remove_stale_shards, write_shard
from fsh.schemas.errors import FshError
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.ids import sample_key
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.sample import sample_members
from fsh.schemas.shards.sample_info import SampleInfo
from fsh.schemas.shards.tar import write_members


def make_clip(data: DataFolder, name: str, samples: int = 2, frames: int = 3) -> ShardClip:
    path = data.work / f"{name}.tar"
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(name) + samples)
    with path.open("wb") as file:
        for k in range(samples):
            info = SampleInfo(
                name, "v-0", "", 25.0, [0.0] * frames, [[0.0] * 4] * frames, [0.0] * 3, FaceSpec()
            )
            jpegs = [b"\xff\xd8" + rng.bytes(696) + b"\xff\xd9" for _ in range(frames)]
            points = np.zeros((frames, 68, 2))
            write_members(file, sample_members(sample_key(name, k), info, points, jpegs), end=False)
    size = path.stat().st_size
    return ShardClip(name, f"person-{name[-1]}", str(path.relative_to(data.root)), size)


def clips(data: DataFolder, count: int) -> list[ShardClip]:
    return [make_clip(data, f"v-0_{k:08d}_{k:02d}") for k in range(count)]


def sums(data: DataFolder) -> dict[str, str]:
    return {
        str(path.relative_to(data.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(data.shards.glob("*/*"))
    }


def test_a_shard_is_a_tar_of_its_clips_with_their_identities(tmp_path):
    data = DataFolder(tmp_path)
    entries = clips(data, 3)
    (shard,) = plan_shards("train", entries, 2**30)
    info = write_shard(data, shard)
    path = data.root / info.path
    assert path.read_bytes()[-1024:] == bytes(1024)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == info.sha256
    assert (info.samples, info.frames, info.bytes) == (6, 18, path.stat().st_size)
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        infos = {
            m.name: SampleInfo.from_json(archive.extractfile(m).read())
            for m in members
            if m.name.endswith(".json")
        }
    assert all(m.mtime == 0 and m.mode == 0o444 for m in members)
    assert len(infos) == 6
    assert all(i.identity == f"person-{i.clip_id[-1]}" for i in infos.values())


def test_a_clips_place_is_where_it_can_be_read_alone(tmp_path):
    data = DataFolder(tmp_path)
    entries = clips(data, 4)
    (shard,) = plan_shards("val", entries, 2**30)
    info = write_shard(data, shard)
    content = (data.root / info.path).read_bytes()
    places = note_of(data, info).clips
    assert set(places) == {entry.clip_id for entry in entries}
    for clip_id, (offset, size) in places.items():
        alone = tmp_path / "alone.tar"
        alone.write_bytes(content[offset : offset + size] + bytes(1024))
        with tarfile.open(alone) as archive:
            assert all(name.startswith(f"{clip_id}_") for name in archive.getnames())
            assert len(archive.getnames()) == 8


def test_order_does_not_matter_and_nothing_is_written_twice(tmp_path):
    data = DataFolder(tmp_path)
    entries = clips(data, 9)
    for shard in plan_shards("train", entries, 20_000):
        write_shard(data, shard)
    before = sums(data)
    assert len(before) > 1
    times = {path: path.stat().st_mtime_ns for path in data.shards.glob("*/*")}
    for shard in reversed(plan_shards("train", entries[::-1], 20_000)):
        write_shard(data, shard)
    assert {path: path.stat().st_mtime_ns for path in data.shards.glob("*/*")} == times
    next(data.shards.glob("*/*")).unlink()
    for shard in plan_shards("train", entries, 20_000):
        write_shard(data, shard)
    assert sums(data) == before


def test_one_more_clip_touches_one_shard(tmp_path):
    data = DataFolder(tmp_path)
    entries = clips(data, 12)
    before = plan_shards("train", entries[:11], 40_000)
    after = plan_shards("train", entries, 40_000)
    assert len(before) == len(after) > 1
    assert sum(a.digest != b.digest for a, b in zip(before, after, strict=True)) == 1


def test_a_stored_plan_is_read_back_by_workers_and_gone_afterwards(tmp_path):
    data = DataFolder(tmp_path)
    plans = plan_shards("train", clips(data, 9), 20_000)
    with stored(data, plans) as handles:
        assert [handle.read(data) for handle in handles] == plans and len(plans) > 1
        with pytest.raises(FshError, match="not the plan that the command stored"):
            handles[0]._replace(digest="of another run").read(data)
        (changed := data.shard_plan("train", 1)).write_text(changed.read_text()[:-9])
        with pytest.raises(FshError, match="not the plan"):
            handles[1].read(data)
    assert not data.shard_plans.exists()
    with pytest.raises(FshError, match="not the plan"):
        handles[0].read(data)


def test_a_network_folder_may_show_a_plan_late(tmp_path):
    data = DataFolder(tmp_path)
    with stored(data, plan_shards("train", clips(data, 3), 2**30)) as (handle,):
        path = data.shard_plan("train", 0)
        hidden = path.rename(tmp_path / "hidden")
        path.write_text("[]")  # that of an earlier round
        threading.Timer(0.5, hidden.replace, [path]).start()
        assert len(handle.read(data, patience=600).clips) == 3


def test_another_identity_rewrites_the_shard(tmp_path):
    data = DataFolder(tmp_path)
    (entry,) = clips(data, 1)
    first = write_shard(data, plan_shards("train", [entry], 2**30)[0])
    second = write_shard(data, plan_shards("train", [entry._replace(identity="other")], 2**30)[0])
    assert first.sha256 != second.sha256


def test_stale_and_half_written_shards_go(tmp_path):
    data = DataFolder(tmp_path)
    entries = clips(data, 9)
    written = [write_shard(data, shard) for shard in plan_shards("train", entries, 20_000)]
    half = data.shards / "train" / ".fsh-train-000000-xyz.tmp"
    half.write_bytes(b"half")
    remove_stale_shards(data, written[:1])
    assert [str(p.relative_to(tmp_path)) for p in data.shards.glob("*/*")] == [written[0].path]
    assert len(list(data.shard_notes.iterdir())) == 1


def test_a_note_is_read_back_and_a_damaged_one_counts_as_none(tmp_path):
    data = DataFolder(tmp_path)
    (shard,) = plan_shards("train", clips(data, 2), 2**30)
    info = write_shard(data, shard)
    path = data.shard_note("train", 0)
    note = ShardNote.read(path)
    assert (note.plan, note.info) == (shard.digest, info) and note == note_of(data, info)
    content = path.read_bytes()
    note.write(path)
    assert path.read_bytes() == content
    for damage in (b"", content[:40], b"{}", b'{"plan": "x", "info": {}, "clips": {}}'):
        path.write_bytes(damage)
        assert ShardNote.read(path) is None
        assert write_shard(data, shard) == info and path.read_bytes() == content


def zeroed(path, where=slice(None)):
    content = bytearray(path.read_bytes())
    content[where] = bytes(len(content[where]))
    path.write_bytes(content)


def test_a_shard_that_was_changed_is_written_anew(tmp_path):
    data = DataFolder(tmp_path)
    (plan,) = plan_shards("train", clips(data, 3), 2**30)
    info = write_shard(data, plan)
    path, before = data.root / info.path, sums(data)
    times = path.stat()
    at = path.read_bytes().index(b"\xff\xd8")
    zeroed(path, slice(at, at + 500))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as if nothing had been done
    assert sums(data) != before
    assert write_shard(data, plan) == info and sums(data) == before


def test_a_copied_shard_is_hashed_once_and_not_written(tmp_path):
    data = DataFolder(tmp_path)
    (plan,) = plan_shards("train", clips(data, 3), 2**30)
    info = write_shard(data, plan)
    path, note = data.root / info.path, data.shard_note("train", 0)
    path.write_bytes(path.read_bytes())
    os.utime(note, (1, 1))  # the clock of a file system may stand still for so short a time
    changed, noted = path.stat().st_mtime_ns, note.stat().st_mtime_ns
    assert write_shard(data, plan) == info and path.stat().st_mtime_ns == changed
    assert note.stat().st_mtime_ns > noted


@pytest.mark.parametrize("kind", ["cut", "cut at a sample", "zeroed frame", "missing", "empty"])
def test_a_damaged_clip_is_named_and_the_shard_stays(tmp_path, kind):
    data = DataFolder(tmp_path)
    entries = [entry._replace(samples=2) for entry in clips(data, 3)]
    (plan,) = plan_shards("train", entries, 2**30)
    write_shard(data, plan)
    before = sums(data)
    tar = data.root / entries[1].tar
    content = tar.read_bytes()
    if kind == "missing":
        tar.unlink()
    elif kind == "zeroed frame":
        zeroed(tar, slice(content.index(b"\xff\xd8"), None))
    else:
        cut = {"cut": 3000, "cut at a sample": len(content) // 2, "empty": 0}[kind]
        tar.write_bytes(content[:cut])
    again = replace(plan, clips=tuple(clip._replace(identity="other") for clip in plan.clips))
    with pytest.raises(DamagedClip) as caught:
        write_shard(data, again)
    assert caught.value.clip.clip_id == entries[1].clip_id and entries[1].tar in str(caught.value)
    assert sums(data) == before


def test_no_clips_no_shards():
    assert plan_shards("train", [], 1000) == []


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 2**26), st.integers(0, 2**64 - 1)), min_size=1, max_size=80),
    st.integers(2**20, 2**28),
)
def test_the_number_of_shards(clips, target):
    sizes, keys = zip(*clips, strict=True)
    count = shard_count(sizes, keys, target)
    assert count & (count - 1) == 0
    assert len({key % count for key in keys}) == count
    wanted = max(1, sum(sizes) / target)
    assert count < 2 * max(wanted, 8)


def test_small_data_still_feeds_several_readers():
    keys = list(range(400))
    assert shard_count([2**20] * 400, keys, 128 * 2**20) == 8
    assert shard_count([2**10] * 400, keys, 128 * 2**20) == 1
    assert shard_count([2**26] * 400, keys, 128 * 2**20) == 256

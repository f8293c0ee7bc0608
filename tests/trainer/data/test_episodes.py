"""Episodes from shards: what is decoded, in what order, and from where a resumed run goes on."""

import itertools
import json
import os
import random
import tarfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_data import SPEC, clip_of, jpeg, write_data

from fsh.schemas.errors import FshError
from fsh.schemas.ids import stable_hash
from fsh.schemas.sample import read_samples, video_id_of
from fsh.trainer.data import episodes as module
from fsh.trainer.data import shard_index as index
from fsh.trainer.data.decode import GRID, Arrays, decode_jpeg, reading_scale
from fsh.trainer.data.episodes import EpisodeStream, choose_frames, shard_order
from fsh.trainer.data.loader import loader
from fsh.trainer.data.plan import plan_data
from fsh.trainer.data.shard_index import Index


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), people=3, samples=3, frames=8, shards=3)


def stream(folder, **changes) -> EpisodeStream:
    options = {"size": SPEC.size, "image": 32, "frames": 3, "batch": 2, "seed": 5, **changes}
    return EpisodeStream(plan_data(folder, workers=0).shards, **options)


def keys(batches, count):
    return [batch.keys for batch in itertools.islice(batches, count)]


def test_batch_shapes(folder):
    batch = next(iter(stream(folder)))
    assert batch.images.shape == batch.landmarks.shape == (2, 4, 32, 32, 3)
    assert batch.images.dtype == torch.uint8 and batch.skipped == 0
    assert all(video.startswith("v-") for video in batch.videos)


def test_an_epoch_sees_every_sample_once(folder):
    seen = [key for pair in keys(iter(stream(folder, batch=3)), 3) for key in pair]
    assert len(set(seen)) == 9


def test_epochs_differ_and_a_seed_repeats(folder):
    first = keys(iter(stream(folder, batch=3)), 6)
    assert first == keys(iter(stream(folder, batch=3)), 6)
    assert first[:3] != first[3:]
    assert first != keys(iter(stream(folder, batch=3, seed=6)), 6)


@pytest.mark.parametrize("start", [1, 4, 7])
def test_a_stream_that_starts_late_goes_on_exactly(folder, start):
    whole = list(itertools.islice(iter(stream(folder)), 10))
    late = list(itertools.islice(iter(stream(folder, start=start)), 10 - start))
    for a, b in zip(whole[start:], late, strict=True):
        assert a.keys == b.keys
        assert torch.equal(a.images, b.images) and torch.equal(a.landmarks, b.landmarks)


def played(folder, monkeypatch, workers, start, count):
    """Batches as the loader would give them: one of each worker in turn, worker 0 first."""
    streams = []
    for worker in range(workers):
        info = SimpleNamespace(id=worker, num_workers=workers)
        monkeypatch.setattr(module, "get_worker_info", lambda info=info: info)
        streams.append(iter(stream(folder, start=start)))
        first = next(streams[-1])  # the stream asks who it is when it starts
        streams[-1] = itertools.chain([first], streams[-1])
    return [next(streams[i % workers]) for i in range(count)]


def same(mine, other):
    return (
        mine.keys == other.keys
        and torch.equal(mine.images, other.images)
        and torch.equal(mine.landmarks, other.landmarks)
    )


@pytest.mark.parametrize("workers", [2, 3])
def test_loader_workers_keep_the_order_over_a_restart(folder, monkeypatch, workers):
    """At every position of more than one epoch, 9 samples in batches of 2."""
    whole = played(folder, monkeypatch, workers, 0, 10)
    assert len({batch.keys for batch in whole}) > 5
    for start in range(1, 8):
        late = played(folder, monkeypatch, workers, start, 10 - start)
        assert all(map(same, whole[start:], late)), start


@pytest.mark.slow
@pytest.mark.parametrize("start", [3, 4])
def test_loader_processes_give_what_the_workers_make(folder, monkeypatch, start):
    wanted = played(folder, monkeypatch, 2, start, 4)
    monkeypatch.undo()
    found = itertools.islice(loader(stream(folder, start=start), 2), 4)
    assert all(map(same, wanted, found))


def test_a_rank_and_a_worker_see_other_shards_in_other_epochs(folder, monkeypatch):
    """Shards are shuffled before they are split; else each reader would see its own for ever."""

    def epochs(**reader):
        """Sets of keys, epoch by epoch: of three shards of three samples, two readers' shares."""
        with monkeypatch.context() as patch:
            if "worker" in reader:
                info = SimpleNamespace(id=reader["worker"], num_workers=2)
                patch.setattr(module, "get_worker_info", lambda: info)
                raw = stream(folder).raw(reader["worker"], 2)
            else:
                raw = stream(folder, rank=reader["rank"], world=2).raw(0, 1)
            share = 6 if 0 in reader.values() else 3
            return [{next(raw).entry.key for _ in range(share)} for _ in range(6)]

    for kind in ("rank", "worker"):
        first, second = epochs(**{kind: 0}), epochs(**{kind: 1})
        assert all(len(a | b) == 9 and not a & b for a, b in zip(first, second, strict=True))
        assert len(set().union(*second)) == 9


def test_ranks_share_the_shards(folder):
    ranks = [keys(iter(stream(folder, batch=1, rank=r, world=3)), 3) for r in range(3)]
    assert len({key for rank in ranks for batch in rank for key in batch}) == 9


def test_only_the_episodes_frames_are_decoded(folder, monkeypatch):
    calls = []

    def counting(data, size, into):
        calls.append(1)
        return decode_jpeg(data, size, into)

    monkeypatch.setattr(module, "decode_jpeg", counting)
    next(iter(stream(folder, batch=2, frames=3)))
    assert len(calls) == 2 * 4


def test_a_damaged_frame_costs_its_episode_only(tmp_path):
    folder = write_data(tmp_path, people=1, samples=4, frames=4, shards=1)
    shard = Path(plan_data(folder, workers=0).shards[0])
    content = bytearray(shard.read_bytes())
    at = content.index(b"\xff\xd8\xff")  # the first JPEG's start
    content[at : at + 64] = bytes(64)
    shard.write_bytes(content)
    batches = list(itertools.islice(iter(stream(folder, batch=4, frames=3)), 3))
    assert all(batch.images.shape[0] == 4 for batch in batches)
    assert sum(batch.skipped for batch in batches) == 3


@given(
    found=st.lists(st.integers(0, 63), min_size=1, max_size=64, unique=True),
    frames=st.integers(1, 8),
)
def test_target_is_no_source(found, frames):
    *sources, target = choose_frames("key", found, frames, 0, 0)
    assert len(sources) == frames and {*sources, target} <= set(found)
    assert len(found) == 1 or target not in sources
    if len(found) > frames:
        assert len(set(sources)) == frames


def test_shards_are_shuffled_before_they_are_split():
    names = [f"s{i}" for i in range(20)]
    first, second = shard_order(names, 0, 0), shard_order(names, 0, 1)
    assert sorted(first) == sorted(second) == sorted(names)
    assert set(first[::2]) != set(second[::2])
    assert shard_order(names[::-1], 0, 0) == first


@pytest.mark.parametrize("to", [64, 48, 32, 16, 8])
def test_reduced_decoding_looks_like_scaling_down(to):
    frame = clip_of(0, 1).frames[0]
    small = np.zeros((to, to, 3), np.uint8)
    assert decode_jpeg(jpeg(frame), 64, small)
    if 64 % to == 0:
        wanted = frame.reshape(to, 64 // to, to, 64 // to, 3).mean((1, 3))
        assert np.abs(small - wanted).mean() < 6


@pytest.mark.parametrize("to", [64, 48, 32, 16, 8])
def test_pixels_are_those_of_opencvs_decoder(to):
    data, found = jpeg(clip_of(0, 1).frames[0]), np.zeros((to, to, 3), np.uint8)
    assert decode_jpeg(data, 64, found)
    flags = {1: cv2.IMREAD_COLOR_RGB, 2: cv2.IMREAD_REDUCED_COLOR_2}
    flags |= {4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
    reduce = reading_scale(64, to)[0]
    wanted = cv2.imdecode(np.frombuffer(data, np.uint8), flags[reduce])
    if reduce > 1:
        wanted = wanted[:, :, ::-1]
    if len(wanted) != to:
        wanted = cv2.resize(np.ascontiguousarray(wanted), (to, to), interpolation=cv2.INTER_AREA)
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("to", [64, 40, 16])
def test_a_damaged_frame_or_a_smaller_one_is_refused(to):
    into = np.zeros((to, to, 3), np.uint8)
    good = jpeg(clip_of(0, 1).frames[0])
    middle = len(good) // 2
    for data in (
        jpeg(np.full((32, 32, 3), 9, np.uint8)),
        b"nonsense",
        b"",
        good[:middle],
        good[:-2],
        good[:middle] + good[middle + 300 :],
    ):
        assert not decode_jpeg(data, 64, into)
    assert decode_jpeg(good, 64, into)


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("workers", [0, 1, 2, 3, 8])
def test_preflight_leaves_no_reader_without_a_shard(folder, world, workers):
    plan = plan_data(folder, workers=workers, world=world)
    assert plan.workers == min(workers, 3 // world)
    assert bool(plan.note) == (plan.workers < workers)
    for epoch in range(5):
        order, each = shard_order(plan.shards, 0, epoch), max(1, plan.workers)
        shares = [order[r::world][w::each] for r in range(world) for w in range(each)]
        assert all(shares) and sorted(itertools.chain(*shares)) == sorted(plan.shards)


def test_preflight(folder, tmp_path):
    plan = plan_data(folder, workers=8)
    assert plan.workers == 3 and "3 shards" in plan.note
    assert plan.samples == 9 and len(plan.videos) == 3
    with pytest.raises(FshError, match="3 train shards for 4 processes"):
        plan_data(folder, workers=0, world=4)
    with pytest.raises(FshError, match="no val shards"):
        plan_data(folder, workers=0, split="val")
    broken = write_data(tmp_path, people=1, samples=1, shards=1)
    Path(plan_data(broken, workers=0).shards[0]).unlink()
    with pytest.raises(FshError, match="missing"):
        plan_data(broken, workers=0)


def test_memory_comes_back_only_when_nobody_holds_a_view_of_it():
    arrays = Arrays()
    first = arrays.take((2, 3))
    first[:] = 7
    tensor, row = torch.from_numpy(first)[1:], first[0]
    del first
    for _ in range(2):
        arrays.take((2, 3))[:] = 9  # nobody keeps these: one more array does for both
    assert tensor.tolist() == [[7, 7, 7]] and row.tolist() == [7, 7, 7] and len(arrays.made) == 2
    del tensor
    arrays.take((2, 3))[:] = 9
    assert row.tolist() == [7, 7, 7]
    del row
    arrays.take((2, 3))[:] = 8
    assert [made[1][made[1] == 8].size for made in arrays.made] == [6, 0]
    assert arrays.take((4, 3)).shape == (4, 3) and len(arrays.made) == 3


@pytest.mark.parametrize("size", [32, 64])
def test_rows_of_pictures_begin_between_two_multiples_of_a_vector(size):
    assert Arrays().take((2, 3, size, size, 3)).ctypes.data % GRID == GRID // 2


def test_batches_do_not_change_after_they_were_handed_out(tmp_path):
    folder = write_data(tmp_path, people=3, samples=2, frames=6)
    shards = plan_data(folder, workers=0).shards
    stream = EpisodeStream(shards, size=64, image=32, frames=2, batch=2, seed=0)
    kept = list(itertools.islice(stream, 6))
    again = EpisodeStream(shards, size=64, image=32, frames=2, batch=2, seed=0)
    for mine, fresh in zip(kept, itertools.islice(again, 6), strict=True):
        assert torch.equal(mine.images, fresh.images) and torch.equal(
            mine.landmarks, fresh.landmarks
        )


@pytest.mark.parametrize("info", [b'{"a":"b","video_id":"v-1"}', b'{"video_id" : "v-1"}'])
def test_the_video_is_found_without_parsing_all(info):
    assert video_id_of(info) == "v-1"


def test_a_video_id_inside_a_name_is_not_taken_for_the_field():
    info = json.dumps({"identity": '"video_id":"evil"', "video_id": "v-2"})
    assert video_id_of(info.encode()) == "v-2"


@given(n=st.integers(1, 60), frames=st.integers(1, 9), epoch=st.integers(0, 5))
def test_frames_are_the_first_of_a_whole_shuffle(n, frames, epoch):
    whole = random.Random(stable_hash("key", salt=f"frames-3-{epoch}")).sample(range(n), n)
    target, rest = whole[0], whole[1:] or whole
    wanted = [*(rest[i % len(rest)] for i in range(frames)), target]
    assert choose_frames("key", range(n), frames, 3, epoch) == wanted


def test_a_shard_is_looked_through_once_and_again_when_it_changed(tmp_path, monkeypatch):
    first = write_data(tmp_path / "a", people=1, samples=2, frames=4, shards=1)
    other = write_data(tmp_path / "b", people=2, samples=2, frames=5, shards=1)
    path, new = (plan_data(folder, workers=0).shards[0] for folder in (first, other))
    walked = []

    def walking(shard):
        walked.append(shard)
        return read_samples(shard)

    monkeypatch.setattr(index, "read_samples", walking)
    known = Index()
    shard = known.open(path)
    assert known.open(path).entries is shard.entries and len(walked) == 1
    entry = shard.entries[0]
    sample = next(read_samples(path))
    assert entry.key == sample.key and entry.video == video_id_of(sample["json"])
    for i, (start, size) in enumerate(entry.pictures.tolist()):
        assert shard.read(start, size) == sample[f"{i:03d}.jpg"]
    assert shard.read(*entry.landmarks) == sample["landmarks.npy"]
    Path(path).write_bytes(Path(new).read_bytes())
    assert len(known.open(path).entries) == 4 and len(walked) == 2


def test_files_are_closed_when_nobody_reads_them_any_more(folder):
    shard = Index().open(plan_data(folder, workers=0).shards[0])
    file = shard.file
    os.fstat(file)
    del shard
    with pytest.raises(OSError):
        os.fstat(file)


def test_a_sample_without_one_of_its_files_is_named(tmp_path):
    path = tmp_path / "shard.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("a.json"))
    with pytest.raises(FshError, match=r"sample a lacks 'landmarks.npy'"):
        Index().open(str(path))

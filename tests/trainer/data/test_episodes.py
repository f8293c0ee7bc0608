"""Episodes from shards: what is decoded, in what order, and from where a resumed run goes on."""

import itertools
import multiprocessing
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_data import SPEC, write_data

from fsh.schemas.errors import FshError
from fsh.schemas.faces.mesh import landmarks_of_mesh
from fsh.schemas.ids import stable_hash
from fsh.schemas.shards.sample import read_samples
from fsh.trainer.data.decode import decode_jpeg
from fsh.trainer.data.episode_frames import choose_frames
from fsh.trainer.data.episodes import EpisodeStream, shard_order
from fsh.trainer.data.landmark_images import draw_landmarks
from fsh.trainer.data.loader import _watched, explaining_lost_loaders, loader
from fsh.trainer.data.plan import plan_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), people=3, samples=3, frames=8, shards=3)


def stream(folder, **changes) -> EpisodeStream:
    options = {
        "crop_size": SPEC.size,
        "image_size": 32,
        "frames": 3,
        "batch": 2,
        "seed": 5,
        **changes,
    }
    return EpisodeStream(plan_data(folder, workers=0).shards, **options)


def keys(batches, count):
    return [batch.keys for batch in itertools.islice(batches, count)]


def test_batch_shapes(folder):
    batch = next(iter(stream(folder)))
    assert batch.images.shape == batch.landmark_images.shape == (2, 4, 32, 32, 3)
    assert batch.images.dtype == torch.uint8 and batch.skipped == 0
    assert all(video.startswith("v-") for video in batch.videos)


def test_an_epoch_sees_every_sample_once(folder):
    seen = [key for pair in keys(iter(stream(folder, batch=3)), 3) for key in pair]
    assert len(set(seen)) == 9


def test_some_episodes_show_a_person_in_two_clips(tmp_path):
    data = write_data(tmp_path, people=2, samples=4, frames=8, shards=1, clips_each=2)
    batches = list(itertools.islice(iter(stream(data, batch=8, other_clips=0.5)), 6))
    plain = list(itertools.islice(iter(stream(data, batch=8)), 6))
    away = torch.cat([batch.elsewhere for batch in batches])
    assert not away[:, [0, -1]].any() and not any(batch.elsewhere.any() for batch in plain)
    assert (away[:, 1] == away[:, 2]).all() and 12 < int(away[:, 1].sum()) < 36
    same = torch.cat(
        [(a.images == b.images).flatten(2).all(2) for a, b in zip(batches, plain, strict=True)]
    )
    assert (same | away).all() and same[~away].all() and not same[away].all()


def test_parts_of_one_clip_are_not_two_clips(folder):
    batches = itertools.islice(iter(stream(folder, other_clips=1.0)), 8)
    assert not any(batch.elsewhere.any() for batch in batches)


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
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.landmark_images, b.landmark_images)


def played(folder, workers, start, count):
    """Batches as the loader would give them: one of each worker in turn, worker 0 first."""
    streams = [stream(folder, start=start).batches(worker, workers) for worker in range(workers)]
    return [next(streams[i % workers]) for i in range(count)]


def same(mine, other):
    return (
        mine.keys == other.keys
        and torch.equal(mine.images, other.images)
        and torch.equal(mine.landmark_images, other.landmark_images)
    )


@pytest.mark.parametrize("workers", [2, 3])
def test_loader_workers_keep_the_order_over_a_restart(folder, workers):
    """At every position of more than one epoch, 9 samples in batches of 2."""
    whole = played(folder, workers, 0, 10)
    assert len({batch.keys for batch in whole}) > 5
    for start in range(1, 8):
        late = played(folder, workers, start, 10 - start)
        assert all(map(same, whole[start:], late)), start


@pytest.mark.slow
@pytest.mark.parametrize("start", [3, 4])
def test_loader_processes_give_what_the_workers_make(folder, start):
    wanted = played(folder, 2, start, 4)
    found = itertools.islice(loader(stream(folder, start=start), 2), 4)
    assert all(map(same, wanted, found))


def test_a_rank_and_a_worker_see_other_shards_in_other_epochs(folder):
    """Shards are shuffled before they are split; else each reader would always see the same."""

    def epochs(**reader):
        """Sets of keys, epoch by epoch: of three shards of three samples, two readers' shares."""
        if "worker" in reader:
            episodes = stream(folder).episodes(reader["worker"], 2)
        else:
            episodes = stream(folder, rank=reader["rank"], world=2).episodes(0, 1)
        share = 6 if 0 in reader.values() else 3
        return [{next(episodes).sample.key for _ in range(share)} for _ in range(6)]

    for kind in ("rank", "worker"):
        first, second = epochs(**{kind: 0}), epochs(**{kind: 1})
        assert all(len(a | b) == 9 and not a & b for a, b in zip(first, second, strict=True))
        assert len(set().union(*second)) == 9


def test_ranks_share_the_shards(folder):
    ranks = [keys(iter(stream(folder, batch=1, rank=r, world=3)), 3) for r in range(3)]
    assert len({key for rank in ranks for batch in rank for key in batch}) == 9


def test_only_the_episodes_frames_are_decoded(folder):
    calls = []

    def counting(data, size, into):
        calls.append(1)
        return decode_jpeg(data, size, into)

    next(iter(stream(folder, batch=2, frames=3, decoder=counting)))
    assert len(calls) == 2 * 4


def test_a_damaged_frame_costs_its_episode_only(tmp_path):
    folder = write_data(tmp_path, people=1, samples=4, frames=4, shards=1)
    shard = Path(plan_data(folder, workers=0).shards[0])
    content = bytearray(shard.read_bytes())
    at = int(next(read_samples(shard)).frame_places[0, 0])
    content[at : at + 64] = bytes(64)
    shard.write_bytes(content)
    batches = list(itertools.islice(iter(stream(folder, batch=4, frames=3)), 3))
    assert all(batch.images.shape[0] == 4 for batch in batches)
    assert sum(batch.skipped for batch in batches) == 3


def test_of_two_clips_the_damaged_one_is_named(tmp_path):
    data = write_data(tmp_path, people=1, samples=6, frames=4, shards=1, clips_each=2)
    shard = Path(plan_data(data, workers=0).shards[0])
    content = bytearray(shard.read_bytes())
    broken = next(read_samples(shard))
    for at in broken.frame_places[:, 0].tolist():
        content[at : at + 64] = bytes(64)
    shard.write_bytes(content)
    batches = itertools.islice(iter(stream(data, batch=8, frames=3, other_clips=0.5)), 3)
    named = {key for batch in batches for _, key in batch.damaged}
    assert named == {broken.key}


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


def test_batches_do_not_change_after_they_were_handed_out(tmp_path):
    folder = write_data(tmp_path, people=3, samples=2, frames=6)
    kept = list(itertools.islice(stream(folder, frames=2), 6))
    again = itertools.islice(stream(folder, frames=2), 6)
    for mine, fresh in zip(kept, again, strict=True):
        assert same(mine, fresh)


@given(n=st.integers(1, 60), frames=st.integers(1, 9), epoch=st.integers(0, 5))
def test_frames_are_the_first_of_a_whole_shuffle(n, frames, epoch):
    whole = random.Random(stable_hash("key", salt=f"frames-3-{epoch}")).sample(range(n), n)
    target, rest = whole[0], whole[1:] or whole
    wanted = [*(rest[i % len(rest)] for i in range(frames)), target]
    assert choose_frames("key", range(n), frames, 3, epoch) == wanted


def test_an_error_in_a_loaders_process_is_the_same_line(tmp_path):
    folder = write_data(tmp_path, people=1, samples=2, frames=4, shards=1)
    shard = Path(plan_data(folder, workers=0).shards[0])
    broken = stream(folder, batch=1)
    shard.write_bytes(b"no tar at all " * (shard.stat().st_size // 14))
    lines = []
    for workers in (0, 1):
        with pytest.raises(FshError) as caught:
            next(loader(broken, workers))
        lines.append(str(caught.value))
    assert lines[0] == lines[1] and lines[0].startswith(f"{shard}: ")


def test_a_loaders_process_that_is_killed_is_one_line(tmp_path):
    folder = write_data(tmp_path, people=1, samples=2, frames=4, shards=1)
    batches, drawn = loader(stream(folder, batch=1), 1), torch.get_rng_state()
    next(batches)
    assert torch.equal(torch.get_rng_state(), drawn)  # a run that goes on begins here again
    # Where it is raised is up to the moment at which the system tells of it.
    with (
        pytest.raises(FshError, match="decodes for the training was killed"),
        explaining_lost_loaders(),
    ):
        for child in multiprocessing.active_children():
            child.kill()
        list(itertools.islice(batches, 50))


@pytest.mark.parametrize("error", [EOFError("unexpected EOF"), ConnectionRefusedError(111, "no")])
def test_what_follows_from_a_process_that_was_killed_is_the_same_line(error):
    def lost():
        yield "a batch"
        raise error

    batches = _watched(lost())
    assert next(batches) == "a batch"
    with pytest.raises(FshError, match="decodes for the training was killed"):
        next(batches)
    with pytest.raises(EOFError), explaining_lost_loaders():
        raise EOFError("a file's")
    with pytest.raises(RuntimeError, match="else"), explaining_lost_loaders():
        raise RuntimeError("anything else")


def test_what_is_real_comes_along_in_shares(tmp_path, folder):
    whole = next(iter(stream(folder))).real
    assert whole.dtype == torch.float32 and torch.equal(
        whole, torch.tensor([0.0, 0, 1, 1]).expand(2, 4, 4)
    )
    edges = [0.0, 0.25 * SPEC.size, SPEC.size, 0.875 * SPEC.size]
    some = write_data(tmp_path, people=2, samples=1, frames=5, shards=1, real=edges)
    batch = next(iter(stream(some)))
    assert torch.equal(batch.real, torch.tensor([0, 0.25, 1, 0.875]).expand(2, 4, 4))


def test_meshes_come_along_or_landmarks_where_there_are_none(tmp_path, folder):
    flat = next(iter(stream(folder)))
    assert flat.points.shape == (2, 4, 68, 2) and flat.points.dtype == torch.float32
    lines = draw_landmarks(flat.points.numpy() * 32 - 0.5, 32)
    assert np.array_equal(lines, flat.landmark_images.numpy())
    spec = replace(SPEC, backend="mediapipe")
    shards = write_data(tmp_path, people=2, samples=1, frames=5, shards=1, spec=spec)
    batch = next(iter(stream(shards)))
    assert batch.points.shape == (2, 4, 478, 3) and batch.points.dtype == torch.float32
    lines = draw_landmarks(landmarks_of_mesh(batch.points.numpy()) * 32 - 0.5, 32)
    # Half precision moves a point by less than a hundredth of a pixel.
    assert np.abs(lines - batch.landmark_images.numpy().astype(int)).mean() < 0.5
    whole = next(iter(stream(shards, image_size=64, landmark_size=32)))
    assert whole.images.shape[2] == 64 and whole.landmark_images.shape[2] == 32
    assert torch.equal(batch.points, whole.points)

"""What a run will read is checked before it starts."""

import itertools
from pathlib import Path

import pytest
from tiny_data import write_data

from fsh.schemas.errors import FshError
from fsh.trainer.data.episodes import shard_order
from fsh.trainer.data.plan import plan_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), people=3, samples=3, frames=8, shards=3)


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("workers", [0, 1, 2, 3, 8])
def test_no_reader_is_left_without_a_shard(folder, world, workers):
    plan = plan_data(folder, workers=workers, world=world)
    assert plan.workers == min(workers, 3 // world)
    assert bool(plan.note) == (plan.workers < workers)
    for epoch in range(5):
        order, each = shard_order(plan.shards, 0, epoch), max(1, plan.workers)
        shares = [order[r::world][w::each] for r in range(world) for w in range(each)]
        assert all(shares) and sorted(itertools.chain(*shares)) == sorted(plan.shards)


def test_unfit_data_is_refused(folder, tmp_path):
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

"""Where a shard's samples lie: read once, read again when the file changed, closed in the end."""

import json
import os
import tarfile
from pathlib import Path

import pytest
from tiny_data import write_data

from fsh.schemas.errors import FshError
from fsh.schemas.shards.sample import LANDMARKS, read_samples
from fsh.schemas.shards.sample_info import video_id_of
from fsh.trainer.data.plan import plan_data
from fsh.trainer.data.shard_index import ShardIndex


@pytest.mark.parametrize("info", [b'{"a":"b","video_id":"v-1"}', b'{"video_id" : "v-1"}'])
def test_the_video_is_found_without_parsing_all(info):
    assert video_id_of(info) == "v-1"


def test_a_video_id_inside_a_name_is_not_taken_for_the_field():
    info = json.dumps({"identity": '"video_id":"evil"', "video_id": "v-2"})
    assert video_id_of(info.encode()) == "v-2"


def test_a_shard_is_read_once_and_again_when_it_changed(tmp_path):
    first = write_data(tmp_path / "a", people=1, samples=2, frames=4, shards=1)
    other = write_data(tmp_path / "b", people=2, samples=2, frames=5, shards=1)
    path, new = (plan_data(folder, workers=0).shards[0] for folder in (first, other))
    read = []

    def counting(shard):
        read.append(shard)
        return read_samples(shard)

    index = ShardIndex(counting)
    shard = index.open(path)
    assert index.open(path).samples is shard.samples and len(read) == 1
    found, sample = shard.samples[0], next(read_samples(path))
    assert found.key == sample.key and found.video == sample.video_id
    for i, (start, size) in enumerate(found.pictures.tolist()):
        assert shard.read(start, size) == sample.frame(i)
    assert shard.read(*found.landmarks) == sample[LANDMARKS]
    Path(path).write_bytes(Path(new).read_bytes())
    assert len(index.open(path).samples) == 4 and len(read) == 2


def test_files_are_closed_when_nothing_refers_to_them(tmp_path):
    data = write_data(tmp_path, people=1, samples=1, frames=4, shards=1)
    shard = ShardIndex().open(plan_data(data, workers=0).shards[0])
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
        ShardIndex().open(str(path))

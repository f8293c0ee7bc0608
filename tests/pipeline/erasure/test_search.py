"""The search for what is left of the erased: what it says of tars, whole and damaged."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_data import jpeg

from fsh.pipeline.erasure.search import find_remnants
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.ids import clip_id, sample_key
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.sample import sample_members
from fsh.schemas.shards.sample_info import SampleInfo
from fsh.schemas.shards.tar import write_members

VIDEO = "v-0123456789abcdef"


@pytest.fixture
def data(tmp_path) -> DataFolder:
    """A data folder with one shard of one sample, which shows Ann."""
    data = DataFolder(tmp_path)
    shard = data.shard("train", 0)
    shard.parent.mkdir(parents=True)
    clip = clip_id(VIDEO, 0.0, 0)
    info = SampleInfo(
        clip_id=clip,
        video_id=VIDEO,
        identity="Ann",
        fps=4.0,
        times=[0.0],
        boxes=[[4.0, 4.0, 28.0, 28.0]],
        crop=[0.0, 0.0, 32.0],
        spec=FaceSpec(),
    )
    picture = jpeg(np.zeros((32, 32, 3), np.uint8))
    members = sample_members(sample_key(clip, 0), info, np.zeros((1, 68, 2)), [picture])
    with shard.open("wb") as file:
        write_members(file, members, end=True)
    return data


def test_names_of_members_and_labels_in_samples_are_found(data):
    found = {place.what for place in find_remnants(data, [VIDEO, "Ann", "Bob"])}
    assert f"sample video_id: {VIDEO}" in found and "sample identity: Ann" in found
    assert f"member: {VIDEO}" in found and not any("Bob" in what for what in found)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_a_damaged_tar_counts_as_not_searched(data, share):
    shard = data.shard("train", 0)
    content = shard.read_bytes()
    shard.write_bytes(content[: int(len(content) * share)])
    found = [place.what for place in find_remnants(data, ["Bob"])]
    assert len(found) == 1 and found[0].startswith("cannot be read, so not searched: ")


def test_json_that_fsh_did_not_write_counts_as_not_searched(data):
    with (data.root / "other.tar").open("wb") as file:
        write_members(file, [("a.json", b"[1]")], end=True)
    found = [place for place in find_remnants(data, ["Bob"]) if place.where == "other.tar"]
    assert [place.what.split(":")[0] for place in found] == ["cannot be read, so not searched"]

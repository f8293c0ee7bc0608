"""Reading a data set: card, tables, samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from erasable import make
from tiny_data import SPEC, clip_of, write_data

import fsh


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> fsh.Dataset:
    root = tmp_path_factory.mktemp("data")
    write_data(root, people=3, samples=2, frames=4, shards=2)
    return fsh.open_dataset(str(root))


def test_the_card(dataset):
    assert dataset.spec == SPEC and dataset.counts == {"videos": 3}
    assert len(dataset) == 6 == len(list(dataset)) == len(list(dataset.samples("train")))
    assert list(dataset.samples("test")) == []


def test_a_sample_is_decoded_when_asked(dataset):
    sample = next(s for s in dataset if s.info.identity == "id1")
    wanted = clip_of(1, 4, seed=int(sample.key[-1]))
    assert len(sample) == 4 and sample.frames().shape == (4, 64, 64, 3)
    np.testing.assert_array_equal(sample.landmarks, wanted.landmarks)
    assert np.abs(sample.frame(2).astype(int) - wanted.frames[2]).mean() < 4  # JPEG
    clip = sample.clip()
    assert clip.name == sample.key and clip.spec == SPEC and clip.crops.shape == (4, 3)
    np.testing.assert_allclose(clip.times, wanted.times)
    assert sample.sound is None and sample.mesh is None and clip.mesh is None
    assert sample.real is None and clip.real is None


def test_a_sample_has_the_mesh_that_its_backend_gave(tmp_path):
    spec = replace(SPEC, backend="mediapipe")
    (sample,) = fsh.open_dataset(
        write_data(tmp_path, people=1, samples=1, frames=4, shards=1, spec=spec).root
    )
    wanted = clip_of(0, 4, spec=spec).mesh
    assert sample.mesh.dtype == np.float32 and np.array_equal(sample.clip().mesh, sample.mesh)
    np.testing.assert_allclose(sample.mesh, wanted, atol=0.04)  # half precision below 64 pixels


def test_a_sample_says_which_part_of_it_is_real(tmp_path):
    edges = [0.0, 12.5, 64.0, 60.0]
    write_data(tmp_path, people=1, samples=1, frames=3, shards=1, real=edges)
    (sample,) = fsh.open_dataset(tmp_path)
    clip = sample.clip()
    assert sample.real.tolist() == edges
    assert clip.real.dtype == np.float32 and clip.real.tolist() == [edges] * 3


def test_clips_and_sources_are_records(tmp_path):
    data = make(tmp_path / "data", ["ann", "bob", "", "cyd"])
    dataset = fsh.open_dataset(data.root)
    sources, clips = dataset.sources(), dataset.clips()
    assert [source.identity for source in sources] == ["ann", "bob", "", "cyd"]
    assert sum(not clip.kept for clip in clips) == 1
    kept = [clip for split in ("train", "val", "test") for clip in dataset.clips(split)]
    assert {clip.clip_id for clip in kept} == {clip.clip_id for clip in clips if clip.kept}


def test_what_is_not_there_is_said(dataset, tmp_path):
    with pytest.raises(fsh.FshError, match="run `fsh shard` first"):
        fsh.open_dataset(tmp_path)
    with pytest.raises(fsh.FshError, match="use train, val, test"):
        dataset.samples("dev")  # at the call, not at the first sample
    with pytest.raises(fsh.FshError, match="use train, val, test"):
        dataset.clips("dev")


def test_the_page(tmp_path):
    make(tmp_path / "data", ["ann", "bob", "cyd"])
    counts = fsh.inspect(tmp_path / "data", tmp_path / "page.html", limit=1)
    assert counts["page"] == str(tmp_path / "page.html") and (tmp_path / "page.html").is_file()
    assert counts["videos"] == 3

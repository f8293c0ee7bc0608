"""A data set opened by others: ``datasets``, ``webdataset``, ffmpeg, and an older fsh's by this."""

from __future__ import annotations

import io
import os
import subprocess
from dataclasses import replace

import av
import numpy as np
import pytest
import webdataset as wds
from old_layout import to_old_layout
from tiny_data import SPEC, write_data

from fsh.pipeline.media.ffmpeg import binary
from fsh.schemas.errors import FshError
from fsh.schemas.shards.card import DatasetCard
from fsh.schemas.shards.dataset_readme import write_dataset_readme
from fsh.schemas.shards.sample import read_samples
from fsh.trainer.data.shard_index import index_sample

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Runs of different lengths: their samples hold different numbers of frames."""
    folder = write_data(
        tmp_path_factory.mktemp("data"), frames=5, spec=replace(SPEC, backend="mediapipe")
    )
    longer = write_data(
        tmp_path_factory.mktemp("more"),
        frames=7,
        split="val",
        spec=replace(SPEC, backend="mediapipe"),
    )
    (folder.shards / "val").mkdir()
    for path in longer.all_shards():
        (folder.shards / "val" / path.name).write_bytes(path.read_bytes())
    card, other = DatasetCard.read(folder.card), DatasetCard.read(longer.card)
    replace(card, shards=card.shards + other.shards).write(folder.card)
    write_dataset_readme(folder)
    return folder


def test_datasets_opens_the_folder_in_one_line(data, tmp_path):
    from datasets import load_dataset

    found = load_dataset(str(data.root), cache_dir=str(tmp_path))
    assert {name: len(rows) for name, rows in found.items()} == {"train": 8, "validation": 8}
    row, sample = found["validation"][0], next(read_samples(data.shard("val", 0)))
    assert row["__key__"] == sample.key and row["json"]["identity"] == "id0"
    assert row["preview.jpg"].size == (64, 64)
    assert np.array_equal(np.array(row["landmarks.npy"], np.float32), sample.landmarks)
    assert np.array(row["mesh.npy"]).shape == (7, 478, 3)
    begin, end = row["json"]["offsets"][3:5]
    assert row["frames.mjpeg"][begin:end] == sample.frame(3)
    streamed = load_dataset(str(data.root), split="train", streaming=True)
    assert sum(1 for _ in streamed) == 8


def test_webdataset_opens_it_and_players_play_the_frames(data):
    shards = [str(path) for path in data.all_shards()]
    rows = list(wds.WebDataset(shards, shardshuffle=False).decode("rgb8"))
    assert len(rows) == 16
    assert len({frozenset(row) - {"__url__", "__local_path__"} for row in rows}) == 1
    with av.open(io.BytesIO(rows[0]["frames.mjpeg"]), format="mjpeg") as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == 5 and frames[0].shape == (64, 64, 3)
    done = subprocess.run(
        [binary(), "-v", "error", "-f", "mjpeg", "-i", "pipe:", "-f", "framemd5", "pipe:"],
        input=rows[0]["frames.mjpeg"],
        capture_output=True,
        check=True,
    )
    assert len([line for line in done.stdout.decode().splitlines() if line[0] != "#"]) == 5


def test_the_page_is_the_users_where_they_wrote_one(data):
    text = data.readme.read_text()
    assert "shards/val/*.tar" in text and "shards/test" not in text
    try:
        data.readme.write_text("# mine")
        write_dataset_readme(data)
        assert data.readme.read_text() == "# mine"
    finally:
        data.readme.write_text(text)


def test_samples_of_the_first_layout_are_read(data, tmp_path):
    path = tmp_path / "fsh-val-000000.tar"
    path.write_bytes(data.shard("val", 0).read_bytes())
    to_old_layout(path)
    new = list(read_samples(data.shard("val", 0)))
    for old, sample in zip(read_samples(path), new, strict=True):
        assert "003.jpg" in old.places and old.frames == sample.frames == 7
        assert [old.frame(i) for i in range(7)] == [sample.frame(i) for i in range(7)]
        assert old.check() == replace(sample.check(), offsets=None)
        assert index_sample(old).pictures[:, 1].tolist() == sample.frame_places[:, 1].tolist()


def test_frames_whose_places_are_wrong_are_an_error(data):
    sample = next(read_samples(data.shard("train", 0)))
    content = bytearray(bytes(sample.archive))
    at = content.index(b'"offsets":[0,') + len(b'"offsets":[0,')
    content[at : at + 1] = b"9"
    broken = replace(sample, archive=bytes(content))
    broken.places.update(sample.places)
    with pytest.raises(FshError, match=r"frame|offsets|where in frames.mjpeg"):
        broken.check()
    with pytest.raises(FshError, match="frame 5 is missing"):
        sample.frame(5)


def test_a_newer_layout_is_told(data, tmp_path):
    card = DatasetCard.read(data.card)
    assert card.layout == 2
    replace(card, layout=3).write(tmp_path / "dataset.json")
    with pytest.raises(FshError, match=r"newer fsh \(layout 3 of samples, not 2\) → update fsh"):
        DatasetCard.read(tmp_path / "dataset.json")

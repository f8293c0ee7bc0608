"""Specs, ids, samples and cards: what is written is what is read."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import webdataset as wds
from hypothesis import given
from hypothesis import strategies as st

from fsh.schemas import ids
from fsh.schemas.errors import FshError, SpecMismatch
from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.places.temporary import replacing
from fsh.schemas.shards.card import DatasetCard, ShardInfo
from fsh.schemas.shards.sample import read_samples, sample_members
from fsh.schemas.shards.sample_info import SampleInfo, real_of
from fsh.schemas.shards.tar import write_members


def a_clip(count: int = 1, spec: FaceSpec = FaceSpec(size=32), name: str = "a") -> FaceClip:
    return FaceClip(
        name=name,
        frames=np.zeros((count, spec.size, spec.size, 3), np.uint8),
        landmarks=np.zeros((count, 68, 2), np.float32),
        times=np.arange(count, dtype=np.float64),
        crops=np.zeros((count, 3), np.float32),
        spec=spec,
    )


def test_errors_say_what_where_and_what_to_do_and_survive_pickling():
    error = SpecMismatch("two\nlines", where="here", remedy="do this")
    assert str(error) == "here: two lines → do this"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is SpecMismatch and str(copy) == str(error)


def test_a_spec_survives_json_and_refuses_a_forged_hash():
    spec = FaceSpec(backend="fan", size=128)
    assert FaceSpec.from_json(spec.to_json()) == spec
    with pytest.raises(SpecMismatch, match="hash"):
        FaceSpec.from_json({**spec.to_json(), "margin": 3.0})


def test_two_specs_that_differ_are_both_named():
    with pytest.raises(SpecMismatch, match=r"the run.*dlib.*the photos.*fan"):
        FaceSpec().require(FaceSpec(backend="fan"), mine="the run", theirs="the photos")


@given(st.text(min_size=1), st.floats(0, 1e6), st.integers(0, 99))
def test_ids_are_safe_file_names_and_tar_keys(text, start, track):
    video = ids.content_id(f"{ids.stable_hash(text):064x}")
    key = ids.sample_key(ids.clip_id(video, start, track), 7)
    assert ids.is_safe(video) and ids.is_safe(key)


@pytest.mark.parametrize("bad", ["short", "a/b_c-d.e?f", "../../etc/x", "elevenchars "])
def test_a_youtube_id_is_checked(bad):
    with pytest.raises(ValueError):
        ids.youtube_id(bad)


def test_stable_hash_is_the_same_everywhere():
    assert ids.stable_hash("clip", "split") == 4788101302225248819


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a" / "file.txt"
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert not path.exists() and not list(path.parent.iterdir())
    with replacing(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"


@given(st.integers(1, 5), st.binary(max_size=700), st.booleans())
def test_a_sample_is_read_back_by_tarfile_and_its_bytes_repeat(count, jpeg, audio):
    info = SampleInfo("v_0_0", "v", "me", 25.0, [0.0] * count, [], [0, 0, 9], FaceSpec())
    points = np.arange(count * 136, dtype=np.float32).reshape(count, 68, 2)
    members = sample_members("v_0_0_0000", info, points, [jpeg] * count, b"x" if audio else b"")
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        write_members(file, members, end=False)
        write_members(file, [], end=True)
    assert files[0].getvalue() == files[1].getvalue()
    with tarfile.open(fileobj=io.BytesIO(files[0].getvalue())) as archive:
        heads = archive.getmembers()
        read = {head.name: archive.extractfile(head).read() for head in heads}
    assert list(read.items()) == members
    edges = [len(jpeg) * i for i in range(count + 1)]
    assert SampleInfo.from_json(read["v_0_0_0000.json"]) == replace(info, offsets=edges)
    assert all(head.mtime == 0 for head in heads)


def test_a_sample_says_which_part_of_it_is_real_or_is_of_before_that():
    old = SampleInfo("v_0_0", "v", 'a "real":[1,2,3,4]', 25.0, [0.0], [], [0, 0, 9], FaceSpec())
    new = replace(old, real=[0.0, 12.5, 256.0, 256.0])
    assert "real" not in json.loads(old.to_json()) and real_of(old.to_json()) is None
    for info in (old, new):
        assert SampleInfo.from_json(info.to_json()) == info
    assert real_of(new.to_json()) == (0.0, 12.5, 256.0, 256.0)
    for wrong in ([0.0, 1.0, 2.0], [0.0, 1.0, 2.0, "3"], "0123"):
        with pytest.raises(TypeError):
            SampleInfo.from_json(json.dumps({**json.loads(old.to_json()), "real": wrong}))
    with pytest.raises(ValueError, match="values to unpack"):
        real_of(b'{"real":[0.0,1.0]}')


def test_a_mesh_is_stored_in_half_precision_and_may_be_missing(tmp_path):
    info = SampleInfo("v_0_0", "v", "me", 25.0, [0.0, 0.04], [], [0, 0, 9], FaceSpec())
    points, jpegs = np.zeros((2, 68, 2), np.float32), [b"\xff\xd8\xff\xd9"] * 2
    mesh = np.random.default_rng(0).uniform(-60, 256, (2, 478, 3)).astype(np.float32)
    mesh[1] = np.nan
    path = tmp_path / "shard.tar"
    with path.open("wb") as file:
        write_members(file, sample_members("v_0_0_0000", info, points, jpegs), end=False)
        whole = sample_members("v_0_0_0001", info, points, jpegs, b"sound", mesh)
        write_members(file, whole, end=False)
        short = sample_members("v_0_0_0002", info, points, jpegs, mesh=mesh[:1])
        write_members(file, short, end=True)
    without, stored, damaged = read_samples(path)
    info = replace(info, offsets=[0, 4, 8])
    assert without.mesh is None and without.check() == info
    assert stored.mesh.dtype == np.float16 and stored.check() == info
    assert np.array_equal(stored.mesh, mesh.astype(np.float16), equal_nan=True)
    assert [*stored.places] == [
        *("json", "preview.jpg", "landmarks.npy", "mesh.npy", "frames.mjpeg", "flac")
    ]
    with pytest.raises(FshError, match=r"mesh.npy is float16 \(1, 478, 3\), not float16 \(2, 478"):
        damaged.check()


def test_a_clips_frames_are_taken_with_their_meshes():
    clip = a_clip(3)
    assert clip.take([1]).mesh is None
    meshes = np.arange(3 * 478 * 3, dtype=np.float32).reshape(3, 478, 3)
    assert np.array_equal(replace(clip, mesh=meshes).take([2, 0]).mesh, meshes[[2, 0]])
    with pytest.raises(AssertionError):
        replace(clip, mesh=meshes[:2])


def test_a_clips_frames_are_taken_with_what_is_real_of_them():
    clip = a_clip(3)
    assert clip.take([1]).real is None
    real = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert np.array_equal(replace(clip, real=real).take([2, 0]).real, real[[2, 0]])
    with pytest.raises(AssertionError):
        replace(clip, real=real[:2])


def test_plain_webdataset_reads_a_sample(tmp_path):
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 10, 10)).save(buffer, "JPEG")
    info = SampleInfo("v_0_0", "v", "me", 25.0, [0.0, 0.04], [], [0, 0, 8], FaceSpec())
    points = np.ones((2, 68, 2), np.float32)
    path = tmp_path / "fsh-train-000000.tar"
    with path.open("wb") as file:
        members = sample_members("v_0_0_0000", info, points, [buffer.getvalue()] * 2)
        write_members(file, members, end=True)
    (sample,) = wds.WebDataset(str(path), shardshuffle=False).decode("rgb8")
    assert sample["__key__"] == "v_0_0_0000"
    assert sample["preview.jpg"].shape == (8, 8, 3)
    begin, end = sample["json"]["offsets"][1:]
    assert sample["frames.mjpeg"][begin:end] == buffer.getvalue()
    assert sample["landmarks.npy"].shape == (2, 68, 2)
    assert sample["json"]["identity"] == "me"


def test_a_card_survives_writing_and_says_what_is_wrong(tmp_path):
    path = tmp_path / "dataset.json"
    shard = ShardInfo("shards/train/fsh-train-000000.tar", "train", 3, 150, 1024, "ab" * 32)
    card = DatasetCard(FaceSpec(), (shard,), {"videos": 1}, {"fsh": "0"})
    card.write(path)
    assert DatasetCard.read(path) == card
    assert DatasetCard.read(path).split("train") == [shard]
    with pytest.raises(FshError, match="run `fsh shard` first"):
        DatasetCard.read(tmp_path / "nothing.json")
    path.write_text("{}")
    with pytest.raises(FshError, match="not a data set card"):
        DatasetCard.read(path)
    assert replace(card, shards=()).split("train") == []

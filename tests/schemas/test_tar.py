"""The shard reader against the webdataset package, and on damaged shards."""

import io
import tarfile

import pytest
import webdataset as wds
from hypothesis import given
from hypothesis import strategies as st
from tiny_data import write_data

from fsh.schemas.errors import FshError
from fsh.schemas.shards.sample import read_samples
from fsh.schemas.shards.tar import members, write_members
from fsh.trainer.data.plan import plan_data


def test_reads_what_webdataset_reads(tmp_path):
    folder = write_data(tmp_path, people=2, samples=2, frames=5, shards=1)
    shard = plan_data(folder, workers=0).shards[0]
    theirs = list(wds.WebDataset(shard, shardshuffle=False))
    ours = list(read_samples(shard))
    assert [s.key for s in ours] == [s["__key__"] for s in theirs] and len(ours) == 4
    for mine, other in zip(ours, theirs, strict=True):
        fields = {name for name in other if not name.startswith("__")}
        assert set(mine.places) == fields
        assert all(mine[name] == other[name] for name in fields)


NAMES = st.from_regex(r"[a-z0-9_]{1,20}\.[a-z0-9.]{1,10}", fullmatch=True)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=1500)), min_size=1, max_size=8))
def test_members_are_tarfiles(content):
    file = io.BytesIO()
    write_members(file, content, end=True)
    found = [(n, file.getvalue()[a : a + size]) for n, a, size in members(file.getvalue(), "x")]
    assert found == content
    with tarfile.open(fileobj=io.BytesIO(file.getvalue())) as theirs:
        assert theirs.getnames() == [name for name, _ in content]


@given(st.integers(0, 3000))
def test_a_shard_cut_anywhere_is_named_or_read_in_full(cut):
    file = io.BytesIO()
    write_members(file, [("a.json", b"x" * 700), ("a.jpg", b"y" * 900)], end=True)
    whole = file.getvalue()
    if cut >= len(whole):
        return
    try:
        found = list(members(whole[:cut], "the.tar"))
    except FshError as error:
        assert "the.tar" in str(error)
    else:
        assert len(found) == 2


def test_unreadable_shards_are_named(tmp_path):
    (tmp_path / "empty.tar").touch()
    (tmp_path / "noise.tar").write_bytes(b"no tar at all " * 100)
    for name in ("missing.tar", "empty.tar", "noise.tar"):
        with pytest.raises(FshError, match=name):
            list(read_samples(tmp_path / name))

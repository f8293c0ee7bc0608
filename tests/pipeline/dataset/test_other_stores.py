"""Azure's and Google's stores, as far as emulators go: everything that fsh asks of a store."""

from __future__ import annotations

import hashlib

import pytest
from erasable import contents
from ingest_runs import options
from other_stores import azurite, fake_gcs
from videos import moving, write_video

from fsh.data_places import data_folder
from fsh.dataset_making import check_shards
from fsh.pipeline.dataset.config import ShardConfig
from fsh.pipeline.dataset.graph import shard
from fsh.pipeline.engine.parts import Part
from fsh.pipeline.erasure.erase import erase
from fsh.pipeline.erasure.plan import plan_erasure
from fsh.pipeline.erasure.search import find_remnants
from fsh.pipeline.ingest.run import ingest
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.leases import Held, leased
from fsh.schemas.places.local_copies import opened
from fsh.schemas.places.numbered import latest_of, make_next
from fsh.schemas.places.stores import (
    content_of,
    file_size,
    files_below,
    listing,
    read_range,
    remove_folder,
    store_of,
    write_if_absent,
)
from fsh.schemas.progress import Silent


@pytest.fixture(params=[azurite, fake_gcs], ids=["az", "gs"])
def bucket(request, tmp_path, monkeypatch):
    monkeypatch.setenv("FSH_CACHE", str(tmp_path / "cache"))
    with request.param(tmp_path / "served") as address:
        yield address


def test_what_is_asked_of_a_store(bucket):
    data = data_folder(f"{bucket}/set")
    path = data.records / "thing"
    assert write_if_absent(path, b"first") and write_if_absent(path, b"first")
    assert not write_if_absent(path, b"other") and content_of(path) == b"first"
    assert file_size(path) == 5 and file_size(data.records / "none") is None
    assert read_range(path, 1, 2) == b"ir"
    assert make_next(path, 0, b"one") and not make_next(path, 0, b"two")
    assert latest_of(path) == (1, b"one")
    with (
        leased(data.lock("ingest"), "ingest", where=data.root, remedy="wait"),
        pytest.raises(Held, match="another ingest is at work here"),
        leased(data.lock("ingest"), "ingest", where=data.root, remedy="wait"),
    ):
        pass
    (data.videos / "v.mp4").write_bytes(b"1" * 9)
    with opened(data.videos / "v.mp4") as copy:
        assert copy.read() == b"1" * 9
    assert len(listing(data.records, direct=True)) == 3 and len(listing(data.root)) == 4
    assert data.videos / "v.mp4" in set(files_below(data.root))
    remove_folder(data.root)
    assert listing(data.root) == {}


@pytest.mark.slow
def test_a_data_set_from_ingest_to_forget(bucket, tmp_path):
    """In two parts and then whole, the same bytes as in a folder; then one is forgotten."""
    videos = [write_video(tmp_path / f"{n}.mp4", moving(1.1, mirrored=n == 1)) for n in range(2)]
    local, listing = DataFolder(tmp_path / "local"), tmp_path / "list.txt"
    listing.write_text("\n".join(map(str, videos)))
    ingest([str(listing)], local, options(copy=True), Silent())
    shard(local, ShardConfig(), workers=2, progress=Silent())
    there = data_folder(f"{bucket}/set")
    for number in (1, 2):
        ingest([str(listing)], there, options(part=Part(number, 2)), Silent())
    assert ingest([str(listing)], there, options(), Silent()).states == {"stored": 2}
    shard(there, ShardConfig(), workers=2, progress=Silent())
    assert made(there) == contents(local)
    assert check_shards(f"{bucket}/set").sound
    gone = next(path.name for path in local.work.glob("v-*"))
    for data in (local, there):
        erase(data, plan_erasure(data, [gone]))
        assert find_remnants(data, [gone]) == []
    assert made(there) == contents(local)


def made(data: DataFolder) -> dict[str, str]:
    """As :func:`erasable.contents`, of a store."""
    begin = len(store_of(data.root)[1]) + 1
    files = [*listing(data.shards), *(store_of(path)[1] for path in (data.card, data.clips))]
    paths = {name[begin:]: data.root / name[begin:] for name in files}
    return {name: hashlib.sha256(content_of(path)).hexdigest() for name, path in paths.items()}

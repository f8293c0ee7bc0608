"""Names that a file system allows: each is ingested, and none costs its neighbours."""

from __future__ import annotations

import os
from pathlib import Path

import ingest_media as media
import pytest
from ingest_runs import options, sources

from fsh.pipeline.dataset.sources import stored_sources
from fsh.pipeline.ingest.lists.reading import read_lists
from fsh.pipeline.ingest.run import ingest
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.progress import Silent

NAMES = [
    b"plain.mp4",
    b"not utf-8 \xff\xfe.mp4",
    b"13:19:57.mp4",
    b"http:a.mp4",
    b"-dash.mp4",
    b"new\nline.mp4",
    b"tab\t\x1b[31m.mp4",
    b"x" * 251 + b".mp4",
    "😀 نام.mp4".encode(),
    b"trailing.mp4.",
    b"trailing.mp4 ",
    b" leading.mp4",
    b"#hash.mp4",
    b"~tilde.mp4",
    b"100%25.mp4",
    b"<b>&amp;\"'.mp4",
    b"C:\\x.mp4",
    b"\\udcff.mp4",
    b"concat:a|b.mp4",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder of the same small video under every name, each with other bytes behind it."""
    place = tmp_path_factory.mktemp("names")
    body = media.make(place / "a.mp4", seconds=0.5).read_bytes()
    (place / "a.mp4").unlink()
    for number, name in enumerate(NAMES):
        path = Path(os.fsdecode(os.fsencode(place) + b"/" + name))
        path.write_bytes(body + (16).to_bytes(4) + b"free" + bytes([number] * 8))
    return place


def test_a_folder_of_odd_names_twice(folder, data):
    for fetched in (len(NAMES), 0):
        report = ingest([str(folder)], data, options(), Silent())
        assert (report.states, report.fetched) == ({"stored": len(NAMES)}, fetched)
        urls = {os.fsencode(Path(source.url).name) for source in sources(data)}
        assert urls == set(NAMES)
    assert len(stored_sources(data)) == len(NAMES)


def test_odd_names_in_a_list_that_is_as_ls_writes_it(folder, data, tmp_path):
    names = [name for name in NAMES if b"\n" not in name and name.strip() == name]
    names.remove(b"#hash.mp4")  # a comment
    listing = tmp_path / "list.txt"
    listing.write_bytes(b"".join(os.fsencode(folder) + b"/" + name + b"\n" for name in names))
    report = ingest([str(listing)], data, options(), Silent())
    assert (report.states, report.bad_lines) == ({"stored": len(names)}, ())


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_an_odd_name_as_the_argument_and_relative(folder, monkeypatch, name):
    monkeypatch.chdir(folder)
    (request,) = read_lists([os.fsdecode(name)]).requests
    assert os.fsencode(request.url) == os.fsencode(folder) + b"/" + name


def test_a_data_folder_and_a_list_of_odd_names(folder, tmp_path):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xe4ta: \xff"))
    odd.mkdir()
    listing = odd / os.fsdecode(b"list \xff.txt")
    listing.write_text(f"{folder}/plain.mp4\n{folder}/nowhere.mp4\n")
    data = DataFolder(odd / os.fsdecode(b"d\xff"))
    report = ingest([str(listing)], data, options(), Silent())
    assert report.states == {"stored": 1, "failed": 1}
    assert ingest([str(listing)], data, options(), Silent()).fetched == 1  # the one that is missing
    assert {source.list for source in sources(data)} == {str(listing)}


def test_labels_of_a_list_that_is_no_utf8_are_taken_for_windows(folder, data, tmp_path):
    listing = tmp_path / "list.csv"
    listing.write_bytes(
        f"url,identity,town\n{folder}/plain.mp4,Zo\udceb,K\udcf6ln\n".encode(
            "utf-8", "surrogateescape"
        )
    )
    ingest([str(listing)], data, options(), Silent())
    (source,) = sources(data)
    assert (source.identity, source.label("town")) == ("Zoë", "Köln")

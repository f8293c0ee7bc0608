"""Lists of published data sets, recognised by their shape; labels and conditions on them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from list_files import write_file

from fsh.pipeline.ingest.lists.reading import parse_list, read_lists
from fsh.pipeline.ingest.lists.requests import Request
from fsh.pipeline.ingest.options import IngestOptions
from fsh.pipeline.ingest.wanted import wanted_requests
from fsh.schemas.errors import FshError
from fsh.schemas.tables.conditions import Condition

WATCH = "https://www.youtube.com/watch?v="


def test_avspeech(tmp_path):
    """No header: id, start, end, and the middle of the speaker's face in shares."""
    text = "-srwckJKdeS,174.36,177.44,0.51875,0.702778\nabcdefghijk,87,90,0.46875,0.303977\n"
    first, second = read_lists([write_file(tmp_path, "avspeech_train.csv", text)]).requests
    assert (first.url, first.start, first.end) == (f"{WATCH}-srwckJKdeS", 174.36, 177.44)
    assert first.bbox == pytest.approx((0.50875, 0.692778, 0.52875, 0.712778))
    assert (first.bbox_width, first.bbox_height) == (1, 1)
    assert (second.url, second.identity) == (f"{WATCH}abcdefghijk", "")


TALKVID = {
    "id": "videovideoTr6MMsoWAog-scene1-scene1",
    "height": 1080,
    "width": 1920,
    "fps": 24.0,
    "start-time": 0.1,
    "start-frame": 0,
    "end-time": 5.5,
    "end-frame": 121,
    "durations": "5.042s",
    "info": {"Person ID": "597", "Video Link": f"{WATCH}Tr6MMsoWAog", "Language": "English"},
    "description": "",
    "head_detail": {"scores": {"avg_movement": 97.92}},
}


def test_talkvid(tmp_path):
    text = json.dumps([TALKVID], indent=4)
    (found,) = read_lists([write_file(tmp_path, "talkvid.json", text)]).requests
    assert (found.url, found.start, found.end) == (f"{WATCH}Tr6MMsoWAog", 0.1, 5.5)
    assert (found.identity, found.bbox) == ("597", None)
    assert json.loads(found.labels) == {"avg_movement": "97.92", "language": "English"}


def celebv(count: int, *, attributes: bool = True) -> str:
    clip = {
        "ytb_id": "M2Ohb0FAaJU",
        "duration": {"start_sec": 81.62, "end_sec": 86.17},
        "bbox": {"top": 0.0, "bottom": 0.8815, "left": 0.1964, "right": 0.6922},
        "version": "v0.1",
    }
    if attributes:
        clip["attributes"] = {
            "appearance": [1, 0, 1],
            "action": [0, 0, 0],
            "emotion": {"sep_flag": False, "labels": "happy"},
        }
    meta = {"appearance_mapping": ["Blurry", "Male", "Young"], "action_mapping": list("abc")}
    clips = {f"M2Ohb0FAaJU_{i}": clip for i in range(count)}
    return json.dumps({"meta_info": meta, "clips": clips} if attributes else {"clips": clips})


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("attributes", [True, False])
def test_celebv_hq_and_celebv_text(tmp_path, count, attributes):
    listing = parse_list(celebv(count, attributes=attributes), "list", tmp_path)
    assert (len(listing.requests), listing.bad_lines) == (count, [])
    found = listing.requests[0]
    assert (found.url, found.start, found.end) == (f"{WATCH}M2Ohb0FAaJU", 81.62, 86.17)
    assert found.bbox == (0.1964, 0.0, 0.6922, 0.8815)
    assert (found.bbox_width, found.bbox_height) == (1, 1)
    if attributes:
        assert (found.label("appearance"), found.label("emotion")) == ("Blurry, Young", "happy")
        assert found.label("action") == ""


def vox_track(video: str, first: int, frames: int = 20) -> str:
    rows = "".join(f"{first + i:06d} \t0.279 \t0.114 \t0.262 \t0.466 \n" for i in range(frames))
    return (
        f"Identity  : \tid10001\nReference : \t{video}\nOffset    : \t7\n"
        f"FV Conf   : \t20.346\t(1)\nASD Conf  : \t4.465\n\nFRAME \tX \tY \tW \tH \n{rows}"
    )


def test_voxceleb_s_own_tree(tmp_path):
    for number, first in enumerate((400, 245)):
        name = f"txt/id10001/1zcIwhmdeo4/0000{number}.txt"
        write_file(tmp_path, name, vox_track("1zcIwhmdeo4", first))
    write_file(tmp_path, "txt/id10001/readme.txt", "nothing of the kind")
    whole = read_lists([str(tmp_path / "txt")])
    assert [(r.start, r.end) for r in whole.requests] == [(16.0, 16.8), (9.8, 10.6)]
    (one,) = read_lists([str(tmp_path / "txt/id10001/1zcIwhmdeo4/00000.txt")]).requests
    assert (one.url, one.identity) == (f"{WATCH}1zcIwhmdeo4", "id10001")
    assert one.bbox == pytest.approx((0.279, 0.114, 0.541, 0.58))
    assert (one.bbox_width, one.label("fv_conf")) == (1, "20.346")


@pytest.mark.parametrize("damage", ["", "000400 0.1\n", "x 1 2 3 4\n", "1 2 3 4 nan\n"])
def test_a_damaged_track_is_a_malformed_line(damage):
    text = vox_track("1zcIwhmdeo4", 1, 0) + damage
    listing = parse_list(text, "00001.txt", Path())
    assert (len(listing.requests), len(listing.bad_lines)) == (0, 1)


@pytest.mark.parametrize(
    ("whole", "labels", "bad"),
    [
        ({"version": 1, "a": "https://h/1", "b": "https://h/2"}, [{"key": "a"}, {"key": "b"}], 1),
        ({"a": "https://h/1", "b": None, "c": ""}, [{"key": "a"}], 2),
        ({"info": {"by": "x"}, "videos": {"a": "https://h/1"}}, [{"key": "a"}], 0),
        (
            {"train": {"a": "https://h/1"}, "test": {"a": "https://h/2"}},
            [{"group": "train", "key": "a"}, {"group": "test", "key": "a"}],
            0,
        ),
    ],
)
def test_names_of_urls_among_other_things(tmp_path, whole, labels, bad):
    """One entry that is no URL takes nothing from the others, and is told."""
    listing = parse_list(json.dumps(whole), "l", tmp_path)
    assert [json.loads(request.labels) for request in listing.requests] == labels
    assert (len(listing.bad_lines), listing.notes) == (bad, [])


def test_links_of_a_record_are_not_its_videos(tmp_path):
    links = {"channel": "https://h/me", "license": "https://h/cc"}
    clips = {f"clip{i}": {"url": f"https://h/{i}", "links": links} for i in range(2)}
    found = parse_list(json.dumps({"clips": clips}), "l", tmp_path).requests
    assert [request.url for request in found] == ["https://h/0", "https://h/1"]


def test_an_object_of_ids_an_object_of_nothing_and_broken_ones(tmp_path):
    ids = json.dumps({"M2Ohb0FAaJU": {"start": 1, "end": 2}, "Tr6MMsoWAog": {"start": 3}})
    assert [r.url[-11:] for r in parse_list(ids, "l", tmp_path).requests] == [
        "M2Ohb0FAaJU",
        "Tr6MMsoWAog",
    ]
    named = '{"a": "https://h/1.mp4", "b": "https://h/2.mp4"}'  # a file's name, or a person's
    found = parse_list(named, "l", tmp_path).requests
    assert [(r.url[-5:], json.loads(r.labels)) for r in found] == [
        ("1.mp4", {"key": "a"}),
        ("2.mp4", {"key": "b"}),
    ]
    assert not any(r.identity for r in found)
    (note,) = parse_list('{"name": "x", "version": 3}', "l.json", tmp_path).notes
    assert "keys: name, version" in note
    with pytest.raises(FshError, match="not whole JSON"):
        parse_list('[{"url": "https://h/a"},', "l.json", tmp_path)
    with pytest.raises(FshError, match="nested too deeply"):
        parse_list("[" * 100_000, "l.json", tmp_path)


@pytest.mark.parametrize(
    ("box", "size", "wanted"),
    [
        ("10 20 110 140", ",", (None, None)),
        ("10 20 110 140", "1280,720", (1280, 720)),
        ("10 20 110 140", "1280.0,", (1280, None)),
        ("0.1 0.2 0.5 0.6", "1280,720", (1, 1)),
        ("-0.01 0 1 1.02", ",", (1, 1)),
    ],
)
def test_what_a_box_refers_to(tmp_path, box, size, wanted):
    text = f"url,bbox,width,height\nhttps://h.org/a.mp4,{box},{size}\n"
    (found,) = parse_list(text, "list", tmp_path).requests
    assert (found.bbox_width, found.bbox_height) == wanted


@pytest.mark.parametrize(
    "row",
    ["1 2 3 4e9,,", "1 2 3 4,1e12,", "1 2 3 4,nan,720", "nan,,", "1 2 inf 4,,", "1 2 3 4,x,1"],
)
def test_numbers_that_no_table_can_hold_are_malformed_lines(tmp_path, row):
    text = f"url,bbox,width,height\nhttps://h.org/a.mp4,{row}\nhttps://h.org/b.mp4,,,\n"
    listing = parse_list(text, "list", tmp_path)
    assert "https://h.org/b.mp4" in [one.url for one in listing.requests]
    assert all(one.bbox is None or max(one.bbox) < 1e6 for one in listing.requests)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("empty.txt", "", "an empty list"),
        ("comments.txt", "# a\n\n# b\n", "an empty list"),
        ("meta.csv", "Name,Gender\nAnn,f\nBob,m\n", "2 rows without any URL, path or video id"),
        ("words.txt", "what is this\nand this\n", "2 lines that cannot be understood, such as"),
        ("empty.json", "[]", "JSON without entries"),
    ],
)
def test_a_list_that_asks_for_nothing_names_what_was_found(tmp_path, name, text, found):
    good = write_file(tmp_path, "good.txt", "https://h.org/a.mp4\n")
    with pytest.raises(FshError, match=found) as error:
        read_lists([good, write_file(tmp_path, name, text)])
    assert name in str(error.value)


def test_every_other_column_is_a_label(tmp_path):
    text = "id,youtube_id,language,emotion\n7,M2Ohb0FAaJU,Fran\u00e7ais,nan\n"
    (found,) = parse_list(text, "list", tmp_path).requests
    assert json.loads(found.labels) == {"language": "Fran\u00e7ais"}


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("language=english", ["Ann", "Bob"]),
        ("Language != English", ["Cid"]),
        ("age>=30", ["Bob"]),
        ("age<30", ["Ann"]),
        ("identity=Cid", ["Cid"]),
        ("mood=calm", ["Ann"]),
        ("mood!=calm", ["Bob", "Cid"]),
    ],
)
def test_conditions_on_labels(tmp_path, condition, kept):
    text = (
        'url,identity,language,age,mood\nhttps://h/a,Ann,English,29,"happy, calm"\n'
        "https://h/b,Bob,English,30,\nhttps://h/c,Cid,Dutch,,sad\n"
    )
    name = write_file(tmp_path, "list.csv", text)
    chosen = IngestOptions(only=(Condition.parse(condition),))
    listing, requests = wanted_requests([name], chosen)
    assert [one.identity for one in requests] == kept
    assert f"{3 - len(kept)} of 3 rows left out" in listing.notes[-1]


@pytest.mark.parametrize("condition", ["", "language", "=x", "age>=old"])
def test_a_condition_that_is_none(condition):
    with pytest.raises(FshError, match="not a condition"):
        Condition.parse(condition)


def test_a_condition_that_nothing_meets_names_the_labels(tmp_path):
    name = write_file(tmp_path, "list.csv", "url,language\nhttps://h/a,English\n")
    chosen = IngestOptions(only=(Condition.parse("langage=English"),))
    with pytest.raises(FshError, match=r"none of 1 rows.*language"):
        wanted_requests([name], chosen)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["url", "id", "start", "end", "bbox", "clips", "left", "fps", "x"])
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(_JSON)
def test_no_json_breaks_the_reader_or_what_it_gives_to_the_ledger(tmp_path_factory, value):
    folder = tmp_path_factory.getbasetemp()
    try:
        listing = parse_list(json.dumps(value), "list", folder)
    except FshError:
        return
    for request in listing.requests:
        assert Request.from_json(json.loads(json.dumps({"url": request.url}))).url == request.url
        assert isinstance(request.labels, str)

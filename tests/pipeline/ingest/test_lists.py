"""Lists as users have them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsh.pipeline.ingest import hdtf
from fsh.pipeline.ingest.lists import read_lists, read_text
from fsh.pipeline.ingest.requests import Request, parse_box, parse_time, unique
from fsh.schemas.errors import FshError

WATCH = "https://www.youtube.com/watch?v="


def write(folder: Path, name: str, text: str | bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_plain_list_with_comments_blank_lines_bom_and_crlf(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a b.mp4").write_bytes(b"x")
    text = (
        "\ufeff# my videos\r\n\r\nhttps://host.org/a.mp4  # the first\r\n  clips/a b.mp4\r\n"
        "youtu.be/dQw4w9WgXcQ\r\nhttps://host.org/b.mp4 1:05 70.5\r\n"
    )
    listing = read_lists([write(tmp_path, "list.txt", text)])
    assert [r.url for r in listing.requests] == [
        "https://host.org/a.mp4",
        str(tmp_path / "clips" / "a b.mp4"),
        "https://youtu.be/dQw4w9WgXcQ",
        "https://host.org/b.mp4",
    ]
    assert [r.line for r in listing.requests] == [3, 4, 5, 6]
    assert (listing.requests[3].start, listing.requests[3].end) == (65.0, 70.5)
    assert not listing.bad_lines


def test_utf16_as_spreadsheets_save_it(tmp_path):
    text = "url\tidentity\r\nhttps://host.org/a.mp4\tZoë\r\n".encode("utf-16")
    (request,) = read_lists([write(tmp_path, "list.txt", text)]).requests
    assert (request.url, request.identity) == ("https://host.org/a.mp4", "Zoë")


def test_malformed_lines_are_numbered_and_the_rest_goes_on(tmp_path):
    text = "https://host.org/a.mp4\nwhat is this?\nhttps://host.org/b c.mp4\n\x00\x01\nhttps://h.org/d\n"
    listing = read_text(text, "list", tmp_path)
    assert [r.line for r in listing.requests] == [1, 5]
    assert [b.line for b in listing.bad_lines] == [2, 3, 4]
    csv = "url,start,end\nhttps://h/a,1,2\nhttps://h/b,9,3\nhttps://h/c,x,3\n,1,2\nhttps://h/d,1,2,3\n"
    listing = read_text(csv, "list", tmp_path)
    assert [r.line for r in listing.requests] == [2]
    assert [b.line for b in listing.bad_lines] == [3, 4, 5, 6]
    assert "ends at 3 s" in listing.bad_lines[0].why


def test_paths_are_relative_to_the_list_then_to_the_working_folder(tmp_path, monkeypatch):
    for place in ("lists/near.mp4", "work/far.mp4", "work/near.mp4"):
        write(tmp_path, place, "x")
    monkeypatch.chdir(tmp_path / "work")
    name = write(tmp_path, "lists/list.txt", "near.mp4\nfar.mp4\nmissing.mp4\n")
    assert [Path(r.url).relative_to(tmp_path) for r in read_lists([name]).requests] == [
        Path("lists/near.mp4"),
        Path("work/far.mp4"),
        Path("lists/missing.mp4"),
    ]


@pytest.mark.parametrize("mark", [",", "\t", ";"])
def test_tables_by_their_columns(tmp_path, mark):
    rows = [
        ["Identity ", " URL", "start", "end", "bbox", "width", "height"],
        ["Ann", "https://host.org/a.mp4", "00:01:02.5", "65", "10 20 110 140", "1280", "720"],
        ["Bob", "https://host.org/b.mp4", "", "", "", "", ""],
    ]
    text = "\n".join(mark.join(row) for row in rows)
    first, second = read_lists([write(tmp_path, "t.txt", text)]).requests
    assert first == Request(
        url="https://host.org/a.mp4",
        list=str(tmp_path / "t.txt"),
        line=2,
        start=62.5,
        end=65.0,
        identity="Ann",
        bbox=(10.0, 20.0, 110.0, 140.0),
        bbox_width=1280,
        bbox_height=720,
    )
    assert (second.start, second.end, second.bbox, second.bbox_width) == (None, None, None, None)


def test_table_without_a_header(tmp_path):
    text = "https://h.org/a.mp4,1,2.5,Ann\nhttps://h.org/b.mp4,3,4,Bob\n"
    first, second = read_text(text, "list", tmp_path).requests
    assert (first.start, first.end, first.identity, first.line) == (1.0, 2.5, "Ann", 1)
    assert second.identity == "Bob"


def test_a_comma_in_a_url_makes_no_table(tmp_path):
    text = "https://h.org/v,1/a.mp4\nhttps://h.org/b.mp4?x=1,2\n"
    assert [r.url for r in read_text(text, "l", tmp_path).requests] == text.split()


def test_json_lines_json_array_and_parquet_say_the_same(tmp_path):
    rows = [
        {
            "url": "https://h.org/a.mp4",
            "start": 1.5,
            "end": 2,
            "identity": "Ann",
            "bbox": [0, 0, 9, 9],
        },
        {"url": "https://h.org/b.mp4", "start": None, "end": None, "identity": "", "bbox": None},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "list.parquet")
    lines = write(tmp_path, "list.jsonl", "\n".join(map(json.dumps, rows)))
    array = write(tmp_path, "list.json", json.dumps(rows, indent=1))

    def wanted(name: str):
        return [(r.url, r.start, r.end, r.identity, r.bbox) for r in read_lists([name]).requests]

    assert wanted(lines) == wanted(array) == wanted(str(tmp_path / "list.parquet"))
    assert wanted(lines)[0] == ("https://h.org/a.mp4", 1.5, 2.0, "Ann", (0.0, 0.0, 9.0, 9.0))


def test_json_lines_with_broken_ones(tmp_path):
    text = '{"url": "https://h.org/a.mp4"}\n{"url": \n[1]\n{"start": 3}\n"https://h.org/b.mp4"\n'
    listing = read_text(text, "list", tmp_path)
    assert [r.line for r in listing.requests] == [1, 5]
    assert [b.line for b in listing.bad_lines] == [2, 3, 4]


def test_voxceleb_frames_become_seconds(tmp_path):
    text = (
        "video_id,start,end,bbox,fps,width,height,partition,person_id\n"
        "WMh3ye5tBsE,3657,3994,624-48-1018-553,25,1280,720,train,id10005\n"
        "WMh3ye5tBsE,3467,3576,610-41-989-550,25,1280,720,train,id10005\n"
        "not-an-id,3467,3576,610-41-989-550,25,1280,720,train,id10005\n"
    )
    listing = read_text(text, "list", tmp_path)
    first = listing.requests[0]
    assert first.url == WATCH + "WMh3ye5tBsE"
    assert (first.start, first.end) == (146.28, 159.76)
    assert first.bbox == (624.0, 48.0, 1018.0, 553.0)
    assert (first.bbox_width, first.bbox_height, first.identity) == (1280, 720, "id10005")
    assert len(listing.requests) == 2
    assert len({r.key for r in listing.requests}) == 1
    assert [b.line for b in listing.bad_lines] == [4]


def test_table_without_urls_is_named_as_such(tmp_path):
    text = "Name \tVoxCeleb2 ID \tGender \n" + "".join(f"A_{i} \tid{i} \tm \n" for i in range(9))
    listing = read_text(text, "vox2_meta.csv", tmp_path)
    assert not listing.requests
    assert not listing.bad_lines
    assert "9 rows without any URL" in listing.notes[0]
    assert "voxceleb2_id" in listing.notes[0]


def hdtf_set(folder: Path) -> None:
    write(
        folder,
        "WDA_video_url.txt",
        f"\ufeffAnn0 {WATCH}AAAAAAAAAAA\nAnn1 {WATCH}BBBBBBBBBBB&t=6s\nBob {WATCH}CCCCCCCCCCC\n?\n",
    )
    write(
        folder,
        "WDA_annotion_time.txt",
        "Ann0.mp4 00:05-01:35\nAnn1.mp4 00:40-01:20 02:00-02:40 9:00-8:00 \nEve.mp4 00:01-00:02\n",
    )
    write(folder, "WDA_crop_wh.txt", "Ann0_0.mp4 608 726 0 726\nAnn1_1.mp4 10 20 30 40\n")
    write(folder, "WDA_resolution.txt", "Ann0.mp4 1080\nAnn1.mp4 0\n")
    write(folder, "WDA_crop_ratio.txt", "Ann0_0.mp4 1.2\n")


@pytest.mark.parametrize("name", ["WDA_video_url.txt", "WDA_crop_ratio.txt", ""])
def test_hdtf_from_any_file_of_the_set_or_its_folder(tmp_path, name):
    hdtf_set(tmp_path)
    listing = read_lists([str(tmp_path / name)])
    found = [(r.identity, r.start, r.end, r.bbox, r.bbox_height) for r in listing.requests]
    assert found == [
        ("Ann", 5.0, 95.0, (608.0, 0.0, 1334.0, 726.0), 1080),
        ("Ann", 40.0, 80.0, None, None),
        ("Ann", 120.0, 160.0, (10.0, 30.0, 30.0, 70.0), None),
        ("Bob", None, None, None, None),
    ]
    assert [(Path(b.list).name, b.line) for b in listing.bad_lines] == [
        ("WDA_annotion_time.txt", 2),
        ("WDA_video_url.txt", 4),
    ]
    assert "no URL for Eve" in listing.notes[0]


def test_names_of_a_set_tell_people_apart():
    assert hdtf.identities(["Radio1", "Radio57"]) == {"Radio1": "Radio1", "Radio57": "Radio57"}
    assert hdtf.identities(["Ann0", "Ann", "Bob1"]) == {"Ann0": "Ann", "Ann": "Ann", "Bob1": "Bob"}


def test_folder_of_videos_and_folder_of_lists(tmp_path):
    write(tmp_path, "v/b.MP4", "x")
    write(tmp_path, "v/sub/a.mkv", "x")
    write(tmp_path, "v/.hidden.mp4", "x")
    write(tmp_path, "v/notes.txt", "https://host.org/a.mp4")
    found = [Path(r.url).name for r in read_lists([str(tmp_path / "v")]).requests]
    assert found == ["b.MP4", "a.mkv"]
    write(tmp_path, "l/one.txt", "https://host.org/a.mp4")
    write(tmp_path, "l/two.csv", "url\nhttps://host.org/b.mp4")
    assert len(read_lists([str(tmp_path / "l")]).requests) == 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(FshError, match="no videos and no lists"):
        read_lists([str(tmp_path / "empty")])


def test_a_video_a_url_and_a_playlist_as_the_argument_itself(tmp_path):
    video = write(tmp_path, "talk.mp4", b"\0\0\0\x18ftypmp42")
    odd = write(tmp_path, "talk", b"\0\0\0\x18ftypmp42")
    wanted = [video, odd, WATCH + "dQw4w9WgXcQ", "https://www.youtube.com/@somebody/videos"]
    assert [r.url for r in read_lists(wanted).requests] == wanted
    with pytest.raises(FshError, match="no such file"):
        read_lists([str(tmp_path / "nowhere.txt")])


def test_a_repeated_request_is_one_and_a_box_makes_two(tmp_path):
    text = (
        "url,start,end,bbox,identity\n"
        "https://h/a,1,2,0 0 5 5,Ann\nhttps://h/a,1,2,0 0 5 5,Bob\nhttps://h/a,1,2,5 0 9 5,Cid\n"
    )
    requests = unique(read_text(text, "list", tmp_path).requests)
    assert [r.identity for r in requests] == ["Bob", "Cid"]


def test_request_id_does_not_depend_on_where_in_the_list():
    one = Request(f"{WATCH}dQw4w9WgXcQ&t=6s", "a", 1, 1.0, 2.0, identity="Ann")
    two = Request("https://youtu.be/dQw4w9WgXcQ", "b", 9, 1.0, 2.0)
    assert one.request_id == two.request_id
    assert one.request_id != Request(two.url, start=1.0, end=3.0).request_id


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12.5", 12.5),
        ("1:02", 62.0),
        ("01:02:03.5", 3723.5),
        ("6s", 6.0),
        ("", None),
        ("nan", None),
    ],
)
def test_times(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["-1", "1:2:3:4", "soon", "inf", "1-2"])
def test_times_that_are_none(text):
    with pytest.raises(ValueError, match="not a time"):
        parse_time(text)


@given(st.integers(0, 10**6))
def test_times_round_trip(milliseconds):
    seconds = milliseconds / 1000
    minutes, rest = divmod(seconds, 60)
    assert parse_time(f"{int(minutes)}:{rest:.3f}") == pytest.approx(seconds, abs=2e-3)


@given(st.lists(st.integers(0, 5000), min_size=4, max_size=4))
def test_boxes_round_trip(numbers):
    left, top, width, height = numbers
    box = (left, top, left + width + 1, top + height + 1)
    for text in ("-".join(map(str, box)), str(list(box)), " ".join(map(str, box))):
        assert parse_box(text) == box


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="/.~"), max_size=300), st.booleans())
def test_no_text_breaks_the_reader(tmp_path_factory, text, own):
    folder = tmp_path_factory.getbasetemp()
    try:
        listing = read_text(text, "list", folder if own else None)
    except FshError:
        return
    lines = text.count("\n") + text.count("\r") + 1
    assert all(1 <= bad.line <= lines for bad in listing.bad_lines)


def test_a_list_from_the_net_names_no_local_path_as_trusted():
    listing = read_text("https://h.org/a.mp4\n/etc/passwd\nvideos/b.mp4\n", "https://h/l.txt", None)
    assert [(r.url, r.trusted) for r in listing.requests] == [
        ("https://h.org/a.mp4", False),
        ("/etc/passwd", False),
        ("videos/b.mp4", False),
    ]

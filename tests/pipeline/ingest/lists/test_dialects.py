"""Lists as other tools, spreadsheets and hands write them: nothing of them gets lost unsaid."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pytest
from list_files import write_file

from fsh.pipeline.ingest.lists.reading import parse_list, read_lists
from fsh.schemas.errors import FshError

A, B = "https://h.org/a.mp4", "https://h.org/b.mp4"


def ranges(text: str | list | dict) -> list[tuple]:
    listing = parse_list(text if isinstance(text, str) else json.dumps(text), "list", Path("/"))
    assert not listing.bad_lines
    return [(r.url, r.start, r.end) for r in listing.requests]


@pytest.mark.parametrize(
    "header",
    [
        "url,start,end",
        "videoUrl,startTime,endTime",
        "Video URL,Start Time (s),End Time [sec]",
        "url,start_ms,end_ms",
        "url,start (ms),end (milliseconds)",
        "url,start,duration",
    ],
)
def test_columns_by_other_names(header):
    by = 1000 if "m" in header.lower().split(",")[1].replace("time", "") else 1
    last = 1 if "duration" in header else 2.5
    assert ranges(f"{header}\n{A},{1.5 * by:g},{last * by:g}\n") == [(A, 1.5, 2.5)]


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("1,5", "2,5"),
        ("00:00:01,500", "00:00:02,500"),
        ("1.5 s", "2.5 sec"),
        ("0m1.5s", "0m2.5s"),
    ],
)
def test_times_as_people_write_them(first, last):
    assert ranges(f"url;start;end\n{A};{first};{last}\n") == [(A, 1.5, 2.5)]


def test_a_comma_that_may_mean_two_things_is_a_malformed_line():
    (bad,) = parse_list(f"url;start;end\n{A};1,250;2,500\n", "list", Path("/")).bad_lines
    assert "not a time: '1,250'" in bad.why
    assert ranges(f"url;start;end\n{A};1,234.5;1,236.5\n") == [(A, 1234.5, 1236.5)]


@pytest.mark.parametrize(
    "text",
    [
        f"# by a tool\nurl,identity,start,end\n# the first\n{A},Ann,1,2\n",
        f"sep=;\nurl;identity;start;end\n{A};Ann;1;2\n",
        f"url|identity|start|end\n{A}|Ann|1|2\n",
        f"url;identity;start, s;end\n{A};Ann;1;2\n".replace(", s", " (s)"),
        f"url,url,identity,start,start,end\n{A},{B},Ann,1,,2\n",
        f"url,identity,start,end\n{A},Ann,1,2\n".replace(",", "\t"),
    ],
)
def test_headers_delimiters_and_columns_of_one_name(text):
    (found,) = parse_list(text, "list", Path("/")).requests
    assert (found.url, found.identity, found.start, found.end) == (A, "Ann", 1, 2)


def test_a_quote_that_is_not_closed_costs_its_line_and_a_long_cell_nothing():
    text = f'url,title\n{A},"never closed\n{B},x\n'
    listing = parse_list(text, "list", Path("/"))
    assert [one.url for one in listing.requests] == [B]
    assert [(bad.line, bad.why) for bad in listing.bad_lines] == [(2, "a quote that is not closed")]
    closed_by_another = f'url,title\n{A},"open\n{A}?2,x\n{B},"y"\n'
    listing = parse_list(closed_by_another, "list", Path("/"))
    assert [one.url for one in listing.requests] == [f"{A}?2", B]
    whole = parse_list(f'url,title\n{A},"two\nlines"\n{B},{"y" * 200_000}\n', "list", Path("/"))
    assert [one.url for one in whole.requests] == [A, B]
    assert json.loads(whole.requests[0].labels) == {"title": "two\nlines"}


@pytest.mark.parametrize(
    "value",
    [
        {"segments": [[1, 2], [3, 4]]},
        {"clips": [{"start": 1, "end": 2}, {"start": 3, "end": 4}]},
        {"clips": [{"start_ms": 1000, "end_ms": 2000}, {"startTime": 3, "endTime": 4}]},
        {"ranges": ["0:01-0:02", "0:03-0:04"]},
        {"time": "0:01-0:02; 0:03-0:04"},
    ],
)
def test_every_range_of_a_row_is_asked_for(value):
    assert ranges([{"url": A, **value}]) == [(A, 1, 2), (A, 3, 4)]
    assert ranges({"data": [{"url": A, **value}, {"url": B}]})[2] == (B, None, None)


def test_ranges_keep_their_own_labels_and_what_is_no_range_is_a_label():
    row = {"url": A, "person": "Ann", "clips": [{"start": 1, "end": 2, "mood": "glad"}]}
    (found,) = parse_list(json.dumps([row]), "list", Path("/")).requests
    assert (found.identity, json.loads(found.labels)) == ("Ann", {"mood": "glad"})
    for value in ("2020-01", "3-1", [1, 2, 3], [[1, 2], "x"]):
        (found,) = parse_list(json.dumps([{"url": A, "time": value}]), "l", Path("/")).requests
        assert (found.start, found.end) == (None, None)
        assert "time" in json.loads(found.labels)


@pytest.mark.parametrize(
    "shape",
    [
        {"train": [{"url": A, "start": 1, "end": 2}], "test": [{"url": B, "start": 3, "end": 4}]},
        {"set": {"one": {"clips": [{"url": A, "start": 1, "end": 2}]},
                 "two": {"clips": [{"url": B, "start": 3, "end": 4, "label": "x"}]}}},
        {"url": [A, B], "start": [1, 3], "end": [2, 4]},
        {"url": {"0": A, "7": B}, "start": {"0": 1, "7": 3}, "end": {"0": 2, "7": 4}},
        {"columns": ["url", "start", "end"], "index": [0, 1], "data": [[A, 1, 2], [B, 3, 4]]},
        [["url", "start", "end"], [A, 1, 2], [B, 3, 4]],
    ],
)  # fmt: skip
def test_json_in_parts_and_in_columns(shape):
    assert ranges(shape) == [(A, 1, 2), (B, 3, 4)]


def test_of_parts_of_one_kind_each_row_says_which_and_other_kinds_are_left_out():
    whole = {"ann": [A, B], "bob": [f"{A}?3"], "licenses": [{"id": 1, "url": "https://cc.org"}]}
    found = parse_list(json.dumps(whole), "list", Path("/")).requests
    assert [(r.url, json.loads(r.labels)["group"]) for r in found] == [
        (A, "ann"), (B, "ann"), (f"{A}?3", "bob"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [
        {"x": 10, "y": 20, "w": 100, "h": 120},
        {"left": 10, "top": 20, "width": 100, "height": 120},
        {"bbox_x": 10, "bbox_y": 20, "bbox_w": 100, "bbox_h": 120},
        {"x_min": 10, "y_min": 20, "x_max": 110, "y_max": 140},
        {"bbox": {"x": 10, "y": 20, "w": 100, "h": 120}},
        {"bbox": {"left": 10, "top": 20, "width": 100, "height": 120}},
        {"bbox": {"xmin": 10, "ymin": 20, "xmax": 110, "ymax": 140}},
        {"bbox": [[10, 20], [110, 140]]},
    ],
)
def test_a_box_by_its_edges_or_by_a_corner_and_its_size(row):
    (found,) = parse_list(json.dumps([{"url": A, **row}]), "list", Path("/")).requests
    assert (found.bbox, found.bbox_width, found.labels) == ((10, 20, 110, 140), None, "")
    if "bbox" in row:
        (found,) = parse_list(
            json.dumps([{"url": A, "width": 1920, "height": 1080, **row}]), "list", Path("/")
        ).requests
        assert (found.bbox, found.bbox_width, found.bbox_height) == ((10, 20, 110, 140), 1920, 1080)


def test_a_point_beside_the_frames_size_is_no_box():
    row = {"url": A, "x": 0.4, "y": 0.3, "width": 1920, "height": 1080}
    (found,) = parse_list(json.dumps([row]), "list", Path("/")).requests
    assert found.bbox is None


@pytest.mark.parametrize("box", [[1, 2, [3], 4], [{"x": 1}], [[1, 2, 3]]])
def test_what_is_no_box_is_a_malformed_line(box):
    (bad,) = parse_list(json.dumps([{"url": A, "bbox": box}]), "list", Path("/")).bad_lines
    assert "not a box" in bad.why


def test_marks_around_urls_counts_and_two_in_one_line():
    text = f'1. {A}\n(2) {A}?2\n- {A}?3\n"{A}?4"\n<{A}?5>\n{A}?6,\n0042 {A}?7\n{A} {B}\n'
    listing = parse_list(text, "list", Path("/"))
    assert [r.url for r in listing.requests] == [A, *(f"{A}?{i}" for i in range(2, 8))]
    assert [r.identity for r in listing.requests] == [""] * 6 + ["0042"]
    assert [(bad.line, bad.why.split(":")[0]) for bad in listing.bad_lines] == [
        (8, "more than a URL")
    ]
    assert not parse_list(f"* [talk]({A})\n", "list", Path("/")).requests


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("name", ["list.csv.gz", "list.csv"])
def test_packed_lists(tmp_path, pack, name):
    path = write_file(tmp_path, f"lists/{name}", pack(f"url,start,end\n{A},1,2\n".encode()))
    for place in (path, str(tmp_path / "lists")):
        assert [(r.url, r.start) for r in read_lists([place]).requests] == [(A, 1)]
    cut = write_file(tmp_path, "cut.csv.gz", Path(path).read_bytes()[:-12])
    with pytest.raises(FshError, match="cannot be unpacked"):
        read_lists([cut])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_encodings_with_and_without_a_mark(tmp_path, encoding):
    text = f"url\tidentity\r\n{A}\tZo\u00eb\r\n".encode(encoding)
    (request,) = read_lists([write_file(tmp_path, "list.csv", text)]).requests
    assert (request.url, request.identity) == (A, "Zo\u00eb")


def test_a_stray_null_is_of_its_line(tmp_path):
    path = write_file(tmp_path, "list.csv", f"url,title\n{A},a\0b\n{B},x\n".encode())
    assert [r.url for r in read_lists([path]).requests] == [A, B]


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"PK\x03\x04", "zip archive or a spreadsheet"),
        (b"\xd0\xcf\x11\xe0", "spreadsheet"),
        (b"SQLite format 3\0", "a database"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"<!DOCTYPE html><a href='https://h.org/a.mp4'>", "a web page"),
    ],
)
def test_what_is_no_list_is_called_by_its_name(tmp_path, head, what):
    with pytest.raises(FshError, match=what):
        read_lists([write_file(tmp_path, "list.csv", head + b"x" * 100)])

"""No entry of a list is lost without a word: it is asked for, or told."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from list_files import write_file

from fsh.pipeline.ingest.lists.reading import parse_list, read_lists
from fsh.pipeline.ingest.lists.requests import Listing
from fsh.pipeline.ingest.options import IngestOptions
from fsh.pipeline.ingest.wanted import wanted_requests

A, B, C, D = (f"https://h.org/{name}.mp4" for name in "abcd")


def read(whole: object) -> Listing:
    return parse_list(whole if isinstance(whole, str) else json.dumps(whole), "list", Path("/"))


@pytest.mark.parametrize(
    "whole",
    [
        {"a": {"url": A}, "b": B, "c": C},
        {"a": {"url": A, "start": 1, "end": 2}, "b": B, "c": [C]},
        {"a": {"url": A, "start": 1, "end": 2}, "b": [B, {"url": C}]},
        {"0": {"url": A}, "1": {"url": B}, "2": C},
        {"clips": {"a": {"url": A}, "b": B}, "more": {"c": {"url": C}}},
        {"Ann": [A, B], "Bob": C},
        {"Ann": [{"url": A}, {"url": B}], "Bob": {"url": C}},
        {"train": [{"url": A, "start": 1, "end": 2}], "test": [B, C]},
        {"videos": [A, [B, C]]},
        [{"name": "Ann", "videos": [{"url": A}, {"url": B}]}, {"name": "Bob", "videos": [C]}],
        [[A, 1, 2], [B, 1, 2], [C, 1, 2]],
        [{"url": [A, B]}, {"url": C}],
        f'["{A}"]\n["{B}", 1, 2]\n["{C}"]\n',
        f'{{"a": "{A}", "a": "{B}", "c": "{C}"}}',
        f'{{"a": {{"url": "{A}"}}, "a": {{"url": "{B}"}}, "c": {{"url": "{C}"}}}}',
        {"url": {"0": A, "1": B, "2": C}, "start": {"1": 5}},
    ],
)
def test_of_mixed_shapes_everything_is_asked_for(whole):
    listing = read(whole)
    assert sorted(one.url for one in listing.requests) == [A, B, C]
    assert not listing.bad_lines


def test_files_and_ids_beside_urls_are_entries_too():
    ids = ["dQw4w9WgXcQ", "9bZkp7q19f0"]
    found = read({"train": [A, B], "test": ["c.mp4", "d.mov"], "more": ids}).requests
    assert [one.url for one in found] == [
        *(A, B, "/c.mp4", "/d.mov"),
        *(f"https://www.youtube.com/watch?v={one}" for one in ids),
    ]


def test_an_id_that_is_a_key_twice_is_one_id():
    found = read('{"M2Ohb0FAaJU": {"start": 1}, "M2Ohb0FAaJU": {"start": 3}}')
    assert [(one.url[-11:], one.start) for one in found.requests] == [
        ("M2Ohb0FAaJU", 1.0), ("M2Ohb0FAaJU", 3.0),
    ]  # fmt: skip
    assert "twice (1): M2Ohb0FAaJU" in found.notes[0]


@pytest.mark.parametrize(
    ("whole", "asked", "why"),
    [
        ({"videos": [A, None, 5]}, [A], ["not null", "not int"]),
        ([A, {"url": None}], [A], ["no URL"]),
        ({"clips": {"a": {"url": A}, "b": None}}, [A], ["'b': null"]),
        ({"url": [A, B, C], "start": [1, 2], "end": [3, 4]}, [A, B], ["of different lengths"]),
        ([["url", "start"], [A, 1], None, [B, 1, 2], [C]], [A, C], ["null", "3 columns"]),
        ({"columns": ["url"], "data": [[A], None, [B]]}, [A, B], ["null"]),
        (f'{{"url": "{A}"}}\n\n{{"url": \n{{"url": "{B}"}}\n', [A, B], ["not JSON"]),
        (f"{A},{B}\n{C}\n", [C], ["more than a URL"]),
        (f"{A}\t{B}\n{C}\n", [C], ["more than a URL"]),
        (f"{A}, {B}, {D}\n{C}\n", [C], ["more than a URL"]),
        (f'id,url\n1,"{A};{B}"\n2,{C}\n', [C], ["more than a URL"]),
        (f"start,end,url\n1,2\n1,2,{A}\n", [A], ["no URL"]),
        (f"{C},1,2\n{A},1,{B}\n", [C], ["more than a URL"]),
    ],
)
def test_an_entry_that_is_none_is_told(whole, asked, why):
    listing = read(whole)
    assert [one.url for one in listing.requests] == asked
    assert len(listing.bad_lines) == len(why)
    assert all(text in bad.why for text, bad in zip(why, listing.bad_lines, strict=True))


@pytest.mark.parametrize(
    ("whole", "note"),
    [
        ([{"left": {"url": A}, "right": {"url": B}}], f"a URL left out, as in no row.*{B}"),
        ({"info": {"url": B}, "videos": [{"url": A}]}, f"a URL left out.*{B}"),
        ({"homepage": B, "a": {"url": A}}, f"a URL left out.*{B}"),
        ({"a": {"b": {"c": {"d": {"e": {"f": [B]}}}}}, "z": [A]}, f"a URL left out.*{B}"),
        ([{"url": A, "video": B}], "1 row has another URL in 'video'"),
        (f'{{"url": "{A}", "url": "{B}"}}', "another URL in 'url_again'"),
        (f"url,url\n{A},{B}\n", "another URL in 'url_again'"),
        (f"url,url,url\n{A},{A},{B}\n", "another URL in 'url_again'"),
        (f"url,url,url\n{A},1,{B}\n", "another URL in 'url_again_again'"),
        (f"title,url\n#fun,{B}\nnice,{A}\n", "1 of its lines, such as 2, begin with #"),
    ],
)
def test_what_is_not_asked_for_is_told(whole, note):
    listing = read(whole)
    assert [one.url for one in listing.requests] == [A]
    assert any(re.search(note, one) for one in listing.notes)


def test_a_quoted_hash_begins_no_comment_and_a_bracket_no_json(tmp_path):
    assert [one.url for one in read(f'title,url\n"#fun",{A}\n').requests] == [A]
    write_file(tmp_path, "[2020] a.mp4", b"x")
    listing = parse_list(f"[2020] a.mp4\n{A}\n", "list", tmp_path)
    assert [Path(one.url).name for one in listing.requests] == ["[2020] a.mp4", "a.mp4"]


def test_no_line_of_hdtf_s_replaces_another(tmp_path):
    path = write_file(tmp_path, "X_video_url.txt", f"Ann {A}\n")
    write_file(tmp_path, "X_annotion_time.txt", "Ann.mp4 0:01-0:02\nAnn.mp4 0:03-0:04\n")
    write_file(tmp_path, "X_resolution.txt", "Ann.mp4 720\nAnn.mp4 1080\n")
    listing = read_lists([path])
    assert [(one.start, one.end) for one in listing.requests] == [(1, 2), (3, 4)]
    assert "'Ann' once more" in listing.bad_lines[0].why


def test_a_list_whose_name_is_like_one_of_hdtf_s_is_a_list(tmp_path):
    path = write_file(tmp_path, "my_video_url.txt", f"{A}\n{B}\n")
    assert [one.url for one in read_lists([path]).requests] == [A, B]


def test_cells_beyond_what_a_row_without_a_header_can_hold_are_a_label():
    (found,) = read(f"{A},1,2,Ann,glad,,old\n").requests
    assert (found.identity, found.label("more")) == ("Ann", "glad, old")


def test_lists_beside_a_folder_s_videos_are_named(tmp_path):
    for name in ("a.mp4", "a.info.json", "a.txt", "people.csv"):
        write_file(tmp_path, name, "x")
    (note,) = read_lists([str(tmp_path)]).notes
    assert "people.csv not read" in note


def test_several_people_of_one_row_are_told(tmp_path):
    path = write_file(tmp_path, "list.csv", f"url,identity\n{A},Ann\n{A},Bob\n{B},Cid\n{B},Cid\n")
    listing, requests = wanted_requests([path], IngestOptions())
    assert [one.identity for one in requests] == ["Bob", "Cid"]
    (note,) = listing.notes
    assert "list.csv:2: rows name several people for the same, the last counts: Ann" in note


_CELLS = st.sampled_from(
    [A, B, C, A, B, "", "1", "2.5", "0:01", "Ann", '"q"', '"a\nb"', '"open', "talk.mp4", "1-2"]
)
_NAMES = st.sampled_from(["url", "url", "start", "end", "name", "video", "id", "bbox", "segments"])


@settings(deadline=None)
@given(
    st.lists(_NAMES, max_size=4),
    st.lists(st.lists(_CELLS, min_size=1, max_size=5), max_size=5),
    st.sampled_from([",", "\t", ";", "|", ", ", " "]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "\ufeff"]),
)
def test_every_url_of_any_table_or_lines_is_asked_for_or_told(header, rows, mark, end, begin):
    text = begin + end.join(mark.join(row) for row in ([header] if header else []) + rows)
    listing = read(text)
    if not listing.requests:
        return
    told = [*listing.notes, *(one.url + one.labels + one.identity for one in listing.requests)]
    lost = [url for url in (A, B, C) if url in text and not any(url in one for one in told)]
    assert not lost or listing.bad_lines or any("another URL" in one for one in told)


_LEAVES = st.sampled_from([A, B, C, A, B, None, 5, "x", "talk.mp4", "dQw4w9WgXcQ"])
_KEYS = st.sampled_from(
    ["url", "video", "id", "name", "start", "end", "clips", "a", "b", "columns", "data", "info"]
)


@settings(deadline=None)
@given(
    st.recursive(
        _LEAVES,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
        max_leaves=12,
    )
)
def test_every_url_of_any_json_is_asked_for_or_told(value):
    text = json.dumps(value)
    listing = read(text)
    if not listing.requests:
        return  # an error that says so
    told = [*listing.notes, *(bad.why for bad in listing.bad_lines)]
    told += [one.url + one.labels + one.identity for one in listing.requests]
    lost = [url for url in (A, B, C) if url in text and not any(url in one for one in told)]
    assert not lost or listing.bad_lines or any("another URL" in one for one in told)

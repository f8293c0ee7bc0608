"""Requests: what makes two of them the same, times and boxes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsh.pipeline.ingest.lists.reading import parse_list
from fsh.pipeline.ingest.lists.requests import Request, parse_box, parse_size, parse_time, unique

WATCH = "https://www.youtube.com/watch?v="


def test_a_repeated_request_is_one_and_a_box_makes_two(tmp_path):
    text = (
        "url,start,end,bbox,identity\n"
        "https://h/a,1,2,0 0 5 5,Ann\nhttps://h/a,1,2,0 0 5 5,Bob\nhttps://h/a,1,2,5 0 9 5,Cid\n"
    )
    requests = unique(parse_list(text, "list", tmp_path).requests)
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


@pytest.mark.parametrize("text", ["1920px", "wide", "-1", "nan", "1e99"])
def test_sizes_that_are_none_are_named(text):
    with pytest.raises(ValueError, match=f"not a size in pixels: '{text}'"):
        parse_size(text)
    assert (parse_size("1080.0"), parse_size(""), parse_size("0")) == (1080, None, None)

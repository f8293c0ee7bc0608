"""Lists that are tables: CSV, JSON, Parquet, and the lists of VoxCeleb and HDTF."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from list_files import write_file

from fsh.pipeline.ingest.lists.hdtf import identities_of_names
from fsh.pipeline.ingest.lists.reading import parse_list, read_lists
from fsh.pipeline.ingest.lists.requests import Request

WATCH = "https://www.youtube.com/watch?v="


@pytest.mark.parametrize("mark", [",", "\t", ";"])
def test_tables_by_their_columns(tmp_path, mark):
    rows = [
        ["Identity ", " URL", "start", "end", "bbox", "width", "height"],
        ["Ann", "https://host.org/a.mp4", "00:01:02.5", "65", "10 20 110 140", "1280", "720"],
        ["Bob", "https://host.org/b.mp4", "", "", "", "", ""],
    ]
    text = "\n".join(mark.join(row) for row in rows)
    first, second = read_lists([write_file(tmp_path, "t.txt", text)]).requests
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
    first, second = parse_list(text, "list", tmp_path).requests
    assert (first.start, first.end, first.identity, first.line) == (1.0, 2.5, "Ann", 1)
    assert second.identity == "Bob"


def test_a_comma_in_a_url_makes_no_table(tmp_path):
    text = "https://h.org/v,1/a.mp4\nhttps://h.org/b.mp4?x=1,2\n"
    assert [r.url for r in parse_list(text, "l", tmp_path).requests] == text.split()


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
    lines = write_file(tmp_path, "list.jsonl", "\n".join(map(json.dumps, rows)))
    array = write_file(tmp_path, "list.json", json.dumps(rows, indent=1))

    def wanted(name: str):
        return [(r.url, r.start, r.end, r.identity, r.bbox) for r in read_lists([name]).requests]

    assert wanted(lines) == wanted(array) == wanted(str(tmp_path / "list.parquet"))
    assert wanted(lines)[0] == ("https://h.org/a.mp4", 1.5, 2.0, "Ann", (0.0, 0.0, 9.0, 9.0))


def test_a_parquet_whose_first_rows_hold_nothing_is_read(tmp_path):
    rows = [
        {"meta": None, "n": 1},
        {"meta": {"url": ["https://h.org/a.mp4", "https://h.org/b.mp4"]}},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "list.parquet")
    listing = read_lists([str(tmp_path / "list.parquet")])
    assert [one.url[-5:] for one in listing.requests] == ["a.mp4", "b.mp4"]
    assert [bad.line for bad in listing.bad_lines] == [1]


def test_json_lines_with_broken_ones(tmp_path):
    text = '{"url": "https://h.org/a.mp4"}\n{"url": \n[1]\n{"start": 3}\n"https://h.org/b.mp4"\n'
    listing = parse_list(text, "list", tmp_path)
    assert [r.line for r in listing.requests] == [1, 5]
    assert [b.line for b in listing.bad_lines] == [2, 3, 4]


def test_voxceleb_frames_become_seconds(tmp_path):
    text = (
        "video_id,start,end,bbox,fps,width,height,partition,person_id\n"
        "WMh3ye5tBsE,3657,3994,624-48-1018-553,25,1280,720,train,id10005\n"
        "WMh3ye5tBsE,3467,3576,610-41-989-550,25,1280,720,train,id10005\n"
        "not-an-id,3467,3576,610-41-989-550,25,1280,720,train,id10005\n"
    )
    listing = parse_list(text, "list", tmp_path)
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
    listing = parse_list(text, "vox2_meta.csv", tmp_path)
    assert not listing.requests
    assert not listing.bad_lines
    assert "9 rows without any URL" in listing.notes[0]
    assert "voxceleb2_id" in listing.notes[0]


def hdtf_set(folder: Path) -> None:
    write_file(
        folder,
        "WDA_video_url.txt",
        f"\ufeffAnn0 {WATCH}AAAAAAAAAAA\nAnn1 {WATCH}BBBBBBBBBBB&t=6s\nBob {WATCH}CCCCCCCCCCC\n?\n",
    )
    write_file(
        folder,
        "WDA_annotion_time.txt",
        "Ann0.mp4 00:05-01:35\nAnn1.mp4 00:40-01:20 02:00-02:40 9:00-8:00 \nEve.mp4 00:01-00:02\n",
    )
    write_file(folder, "WDA_crop_wh.txt", "Ann0_0.mp4 608 726 0 726\nAnn1_1.mp4 10 20 30 40\n")
    write_file(folder, "WDA_resolution.txt", "Ann0.mp4 1080\nAnn1.mp4 0\n")
    write_file(folder, "WDA_crop_ratio.txt", "Ann0_0.mp4 1.2\n")


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
    assert identities_of_names(["Radio1", "Radio57"]) == {"Radio1": "Radio1", "Radio57": "Radio57"}
    assert identities_of_names(["Ann0", "Ann", "Bob1"]) == {
        "Ann0": "Ann",
        "Ann": "Ann",
        "Bob1": "Bob",
    }

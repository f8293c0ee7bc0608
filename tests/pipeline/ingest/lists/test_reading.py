"""Lists as users have them: plain ones, folders, and arguments that are no list."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from list_files import write_file

from fsh.pipeline.ingest.lists.reading import parse_list, read_lists
from fsh.schemas.errors import FshError

WATCH = "https://www.youtube.com/watch?v="


def test_plain_list_with_comments_blank_lines_bom_and_crlf(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a b.mp4").write_bytes(b"x")
    text = (
        "\ufeff# my videos\r\n\r\nhttps://host.org/a.mp4  # the first\r\n  clips/a b.mp4\r\n"
        "youtu.be/dQw4w9WgXcQ\r\nhttps://host.org/b.mp4 1:05 70.5\r\n"
    )
    listing = read_lists([write_file(tmp_path, "list.txt", text)])
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
    (request,) = read_lists([write_file(tmp_path, "list.txt", text)]).requests
    assert (request.url, request.identity) == ("https://host.org/a.mp4", "Zoë")


def test_malformed_lines_are_numbered_and_the_rest_goes_on(tmp_path):
    text = "https://host.org/a.mp4\nwhat is this?\nhttps://host.org/b c.mp4\n\x00\x01\nhttps://h.org/d\n"
    listing = parse_list(text, "list", tmp_path)
    assert [r.line for r in listing.requests] == [1, 5]
    assert [b.line for b in listing.bad_lines] == [2, 3, 4]
    csv = "url,start,end\nhttps://h/a,1,2\nhttps://h/b,9,3\nhttps://h/c,x,3\n,1,2\nhttps://h/d,1,2,3\n"
    listing = parse_list(csv, "list", tmp_path)
    assert [r.line for r in listing.requests] == [2]
    assert [b.line for b in listing.bad_lines] == [3, 4, 5, 6]
    assert "ends at 3 s" in listing.bad_lines[0].why


def test_paths_are_relative_to_the_list_then_to_the_working_folder(tmp_path, monkeypatch):
    for place in ("lists/near.mp4", "work/far.mp4", "work/near.mp4"):
        write_file(tmp_path, place, "x")
    monkeypatch.chdir(tmp_path / "work")
    name = write_file(tmp_path, "lists/list.txt", "near.mp4\nfar.mp4\nmissing.mp4\n")
    assert [Path(r.url).relative_to(tmp_path) for r in read_lists([name]).requests] == [
        Path("lists/near.mp4"),
        Path("work/far.mp4"),
        Path("lists/missing.mp4"),
    ]


def test_folder_of_videos_and_folder_of_lists(tmp_path):
    write_file(tmp_path, "v/b.MP4", "x")
    write_file(tmp_path, "v/sub/a.mkv", "x")
    write_file(tmp_path, "v/.hidden.mp4", "x")
    write_file(tmp_path, "v/talk", b"\0\0\0\x18ftypmp42")
    write_file(tmp_path, "v/talk.MP4_original", b"\0\0\0\x18ftypmp42")
    write_file(tmp_path, "v/talk.mp4.part", b"\0\0\0\x18ftypmp42")
    write_file(tmp_path, "v/other", b"nothing known")
    write_file(tmp_path, "v/notes.txt", "https://host.org/a.mp4")
    found = [Path(r.url).name for r in read_lists([str(tmp_path / "v")]).requests]
    assert found == ["b.MP4", "talk", "talk.MP4_original", "a.mkv"]
    write_file(tmp_path, "l/one.txt", "https://host.org/a.mp4")
    write_file(tmp_path, "l/two.csv", "url\nhttps://host.org/b.mp4")
    assert len(read_lists([str(tmp_path / "l")]).requests) == 2
    (tmp_path / "empty").mkdir()
    listing = read_lists([write_file(tmp_path, "list.txt", "v\nempty\n")])
    assert len(listing.requests) == 4
    assert [bad.why for bad in listing.bad_lines] == ["a folder without videos: 'empty'"]
    with pytest.raises(FshError, match="no videos and no lists"):
        read_lists([str(tmp_path / "empty")])


def test_a_video_a_url_and_a_playlist_as_the_argument_itself(tmp_path):
    video = write_file(tmp_path, "talk.mp4", b"\0\0\0\x18ftypmp42")
    odd = write_file(tmp_path, "talk", b"\0\0\0\x18ftypmp42")
    wanted = [video, odd, WATCH + "dQw4w9WgXcQ", "https://www.youtube.com/@somebody/videos"]
    assert [r.url for r in read_lists(wanted).requests] == wanted
    with pytest.raises(FshError, match="no such file"):
        read_lists([str(tmp_path / "nowhere.txt")])


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="/.~"), max_size=300), st.booleans())
def test_no_text_breaks_the_reader(tmp_path_factory, text, own):
    folder = tmp_path_factory.getbasetemp()
    try:
        listing = parse_list(text, "list", folder if own else None)
    except FshError:
        return
    lines = text.count("\n") + text.count("\r") + 1
    assert all(1 <= bad.line <= lines for bad in listing.bad_lines)


def test_a_list_from_the_net_names_no_local_path_as_trusted():
    listing = parse_list(
        "https://h.org/a.mp4\n/etc/passwd\nvideos/b.mp4\n", "https://h/l.txt", None
    )
    assert [(r.url, r.trusted) for r in listing.requests] == [
        ("https://h.org/a.mp4", False),
        ("/etc/passwd", False),
        ("videos/b.mp4", False),
    ]

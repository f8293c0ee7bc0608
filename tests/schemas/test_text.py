"""Names of files, whatever they hold, in messages, tables and pages."""

from __future__ import annotations

import errno
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import explaining_refusals, file_error, refused_by_system
from fsh.schemas.text import (
    json_line,
    markdown,
    one_line,
    page_text,
    readable,
    sentence,
    shown,
    storable,
    stored_text,
)

ODD = [
    ("a  b.jpg", '"a  b.jpg"'),
    (" a", '" a"'),
    ("[red]a[/]", "[red]a[/]"),
    (":heart:", ":heart:"),
    ("a\nb\tc\r", "a\\nb\\tc\\r"),
    ("\x1b[31ma", "\\x1b[31ma"),
    ("a\udcffb", "a\\xffb"),
    ("\u202eabc\u2028", "\\u202eabc\\u2028"),
    ("100 %s {0} ~x -x", "100 %s {0} ~x -x"),
    ("Zoë 👨‍👩‍👧 نام.jpg", "Zoë 👨‍👩‍👧 نام.jpg"),
]


@pytest.mark.parametrize(("name", "seen"), ODD)
def test_a_name_is_shown_exactly_and_in_one_line(name, seen):
    assert shown(name) == seen
    line = str(FshError(f"not this one: {shown(name)}", where=name, remedy=f"rename {shown(name)}"))
    assert line == f"{seen}: not this one: {seen} → rename {seen}"


def test_a_message_that_breaks_is_joined_and_other_blanks_stay():
    assert sentence("a  b\n   c\r\n\td ") == "a  b c d"


@given(st.text(st.characters(), max_size=40))
def test_whatever_a_name_holds_it_is_one_printable_line(name):
    for text in (one_line(name), shown(name), sentence(name), markdown(name)):
        assert len(text.splitlines()) <= 1
        text.encode()
        assert "\x1b" not in text
    assert json.loads(json_line({"name": name})) == {"name": name}
    json_line({"name": name}).encode()
    assert not set("\x1b\x7f\x85\x9b\u202e\u2028\U000e0041\r\n") & set(json_line({"name": name}))


def test_markdown_is_taken_for_no_mark():
    assert markdown("a|b`c`<i>*x*[y](z)&amp; _u_ a_b") == (
        "a\\|b\\`c\\`\\<i\\>\\*x\\*\\[y\\](z)\\&amp; \\_u\\_ a_b"
    )


def test_pages_print_texts_in_one_line_and_leave_the_rest():
    assert page_text("a\nb") == "a\\nb" and page_text(3) == 3

    class Safe(str):
        __slots__ = ()

    assert page_text(Safe("a\nb")) == "a\nb"


@pytest.mark.parametrize("code", sorted(errno.errorcode))
def test_every_refusal_of_the_system_has_a_name_a_place_and_words(code):
    refused = file_error(OSError(code, os.strerror(code), "/a  b"))
    assert str(refused).startswith('"/a  b": ') and len(str(refused).splitlines()) == 1
    assert os.strerror(code).lower() in str(refused).lower()


def test_a_refusal_is_found_behind_other_errors():
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "/x")
        except OSError as error:
            raise RuntimeError("a library") from error
    except RuntimeError as error:
        assert str(refused_by_system(error)).startswith(
            "/x: no room left on the disk for this (No space"
        )
    words = RuntimeError("serializing: I/O error: No space left on device (os error 28)")
    assert "make room" in str(refused_by_system(words))
    assert refused_by_system(ValueError("a fault of fsh's")) is None


def test_a_temporary_files_name_is_not_shown(tmp_path):
    with pytest.raises(FshError) as caught, explaining_refusals(tmp_path / "a.mp4"):
        raise OSError(errno.ENOSPC, "full", str(tmp_path / ".a-x1.tmp"))
    assert caught.value.where == str(tmp_path / "a.mp4")
    with pytest.raises(FshError) as caught, explaining_refusals(tmp_path / "a.mp4"):
        (tmp_path / "no" / "b").read_bytes()
    assert caught.value.where.endswith("no/b")
    with pytest.raises(BrokenPipeError), explaining_refusals(tmp_path / "a.mp4"):
        raise BrokenPipeError(errno.EPIPE, "nobody reads this any more")
    with pytest.raises(TimeoutError), explaining_refusals(tmp_path / "a.mp4"):
        raise TimeoutError(errno.ETIMEDOUT, "no answer")


_PIECES = st.sampled_from(["\\", "u", "\\udcff", "\\u005c", "005c", "dcff"])
_ANY = st.lists(_PIECES | st.characters() | st.characters(categories=["Cs"])).map("".join)


@given(_ANY)
def test_any_text_is_stored_as_utf8_and_comes_back_the_same(text):
    assert stored_text(storable(text).encode().decode()) == text
    readable(text).encode()


def test_a_text_that_is_utf8_is_stored_as_it_is():
    for text in ("a", "Zoë\\u12", "C:\\users", "\\ud7ff"):
        assert storable(text) == text

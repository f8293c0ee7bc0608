"""Consent statements: reading, enforcing, recording."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsh.schemas.consent import (
    NOT_STATED,
    SCOPES,
    Consent,
    parse_consent,
    read_consent,
    recorded_consent,
)
from fsh.schemas.errors import FshError

TOML = """
who = "Ada Example"
by = "Ada Example"
scope = ["personalize", "animate"]
until = 2027-12-31
"""
TODAY = date(2026, 11, 22)
ADA = Consent("Ada Example", "Ada Example", ("animate", "personalize"), date(2027, 12, 31))


@pytest.mark.parametrize("text", [TOML, "\ufeff" + TOML, json.dumps(ADA.to_json(), indent=2)])
def test_toml_and_json_give_the_same_statement(tmp_path, text):
    (tmp_path / "ada.txt").write_text(text, encoding="utf-8")
    assert read_consent(tmp_path / "ada.txt") == ADA


def test_an_allowed_act_passes():
    ADA.require("animate", TODAY)
    ADA.require("animate", date(2027, 12, 31))
    Consent("A", "B", ("any",), TODAY).require("publish", TODAY)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"until": "2026-11-21"}, "it ended on 2026-11-21, today is 2026-11-22"),
        ({"until": "revoked"}, "it was revoked"),
        ({"given": "2026-11-23"}, "it begins on 2026-11-23"),
        ({"scope": ["personalize"]}, "its scope is personalize, not animate"),
    ],
)
def test_an_act_that_is_not_allowed_raises_with_the_reason(change, words):
    with pytest.raises(FshError, match=words) as caught:
        parse_consent(ADA.to_json() | change).require("animate", TODAY)
    assert "Ada Example" in str(caught.value)


def test_all_problems_are_reported_at_once(tmp_path):
    (tmp_path / "c.toml").write_text('who = ""\nby = 3\nscope = ["fly"]\nuntil = "soon"\nage = 7')
    with pytest.raises(FshError) as caught:
        read_consent(tmp_path / "c.toml")
    for words in ("who must", "by must", "not fly", "until must be a day", "unknown age"):
        assert words in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"{", b"= =", b"[" * 3000, b""])
def test_a_file_that_is_no_statement_raises_one_error(tmp_path, content):
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(FshError):
        read_consent(tmp_path / "c")
    with pytest.raises(FshError, match="cannot read"):
        read_consent(tmp_path / "missing")


def test_the_entry_in_a_card():
    assert recorded_consent(None) is None and recorded_consent(NOT_STATED) is None
    assert recorded_consent(ADA.to_json()) == ADA
    with pytest.raises(FshError, match="not a consent statement"):
        recorded_consent("yes")


text = st.text(min_size=1, max_size=40).map(lambda t: " ".join(t.split())).filter(bool)
days = st.dates(date(1990, 1, 1), date(2100, 1, 1))


@settings(max_examples=50, deadline=None)
@given(
    st.builds(
        Consent,
        who=text,
        by=text,
        scope=st.sets(st.sampled_from(sorted(SCOPES)), min_size=1).map(lambda s: tuple(sorted(s))),
        until=st.none() | days,
        given=st.none() | days,
        note=st.just("") | text,
    )
)
def test_a_statement_survives_json(consent):
    assert parse_consent(json.loads(json.dumps(consent.to_json()))) == consent


@settings(max_examples=50, deadline=None)
@given(until=days, later=st.integers(-500, 500))
def test_a_statement_holds_until_its_last_day(until, later):
    today = until + timedelta(days=later)
    consent = Consent("A", "A", ("animate",), until)
    if later <= 0:
        consent.require("animate", today)
    else:
        with pytest.raises(FshError, match="ended"):
            consent.require("animate", today)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["who", "by", "scope", "until", "given", "note", "x"]),
        st.none() | st.text(max_size=5) | st.integers() | st.lists(st.none() | st.text(max_size=3)),
    )
)
def test_malformed_data_raises_only_fsh_errors(data):
    with suppress(FshError):
        assert isinstance(parse_consent(data), Consent)

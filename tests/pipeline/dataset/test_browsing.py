"""What remains at which thresholds, as the filters themselves have it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from many_clips import SPEC, write_clips_of

from fsh import inspect
from fsh.pipeline.dataset.config import filters_of
from fsh.pipeline.dataset.pages.browsing import ClipBrowser
from fsh.pipeline.dataset.pages.contact_sheet import DamageReport, open_browser, page_data
from fsh.pipeline.dataset.settling.filters import reject_reason
from fsh.schemas.errors import FshError
from fsh.schemas.tables.columns import CLIPS
from fsh.schemas.tables.conditions import Condition
from fsh.schemas.tables.parquet import read_clips, read_table, write_clips, write_sources
from fsh.schemas.tables.records import RejectReason, Source, SourceState


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_clips_of(tmp_path_factory.mktemp("data"), 100)


@pytest.fixture
def browser(data):
    return ClipBrowser(read_table(data.clips, CLIPS), SPEC)


@pytest.mark.parametrize(
    "limits", [{}, {"min_sync": 4.0}, {"min_face": 200, "max_yaw": 20, "min_sharpness": 0}]
)
def test_reasons_are_those_of_the_filters(data, browser, limits):
    found = [browser.reason_names[code] for code in browser.reasons(limits)]
    filters = filters_of(limits)
    for clip, reason in zip(read_clips(data.clips), found, strict=True):
        fresh = replace(clip, reason=None) if clip.samples else clip
        assert reason == (reject_reason(fresh, filters, SPEC) or "")


def test_a_question_is_answered_in_every_part(browser):
    found = browser.query({"min_sync": 5.0}, sort="min_face", descending=True, count=3)
    assert found["kept"] == found["found"] == 45
    assert found["seconds"] == {"": 90.0, "blurred": 20.0, "other_voice": 90.0, "no_face": 5.0}
    assert [row["number"] for row in found["rows"]] == [98, 97, 96]
    kept, every = found["bars"]["min_sync"]
    assert (sum(kept), sum(every)) == (45, 100)
    assert browser.query({}, view="blurred")["found"] == 10
    assert browser.query({}, view="rejected")["found"] == 11
    assert browser.query({}, view="all", words="PERSON 7")["found"] == 5
    assert browser.query({}, view="no such reason")["found"] == 0
    later = browser.query({}, view="all", offset=99, count=1000)
    assert [row["reason"] for row in later["rows"]] == ["blurred", "no_face"]
    assert later["rows"][1]["scores"]["min_face"] is None


def test_an_empty_table_has_its_answers(tmp_path):
    write_clips([], tmp_path / "clips.parquet")
    empty = ClipBrowser(read_table(tmp_path / "clips.parquet", CLIPS), SPEC)
    assert empty.query({})["kept"] == 0 and empty.neighbours() == []
    assert len(empty.thresholds()) == 18


def test_one_person_under_two_names_is_the_nearest(data, tmp_path):
    clips = [
        replace(c, identity="ann") if c.identity == "person 1" else c
        for c in read_clips(data.clips)
    ]
    face = next(c.embedding for c in clips if c.identity == "ann")
    clips = [
        replace(c, embedding=face + np.float32(0.001)) if c.identity == "person 2" else c
        for c in clips
    ]
    write_clips(clips, tmp_path / "clips.parquet")
    first = ClipBrowser(read_table(tmp_path / "clips.parquet", CLIPS), SPEC).neighbours()[0]
    assert {side["identity"] for side in first["sides"]} == {"ann", "person 2"}
    assert first["across"] and first["distance"] < 0.05


def test_a_rejected_duplicate_can_come_back(browser):
    table = browser.table
    assert RejectReason.DUPLICATE.value in browser.reason_names
    places = browser.query({"duplicates": 0.0})
    assert places["kept"] == 90 and len(table) == 101


def test_only_what_the_lists_label_so_is_shown(data, tmp_path):
    clips = read_clips(data.clips)
    sources = [
        Source(
            request_id=clip.video_id,
            url=clip.video_id,
            video_id=clip.video_id,
            state=SourceState.STORED,
            labels=json.dumps({"language": "Dutch" if number % 4 else "English"}),
            # Of rows without a crop window a box says nothing.
            bbox=[900.0, 900.0, 1140.0, 1140.0],
        )
        for number, clip in enumerate(clips)
    ]
    write_sources(sources, data.sources)
    only = [Condition.parse("language=english")]
    browser = open_browser(data, DamageReport(), only)
    wanted = [clip.video_id for number, clip in enumerate(clips) if not number % 4]
    assert browser.table["video_id"].to_pylist() == wanted and len(wanted) == 26
    assert page_data(data, browser, only)["only"] == "--only language=english"
    odd = Condition.parse("age>=18")
    assert page_data(data, browser, [odd])["only"] == "--only 'age>=18'"
    with pytest.raises(FshError, match=r"labelled language=danish.*labels: language"):
        open_browser(data, DamageReport(), [Condition.parse("language=danish")])
    target = tmp_path / "only.html"
    counts = inspect(data.root, target, only=["language=English"])
    assert counts["videos"] == 26 and "Dutch" not in target.read_text()

"""Forgetting from Python: planned, done, checked."""

from __future__ import annotations

import json

import pytest
from erasable import make

import fsh
from fsh.erasure import carry_out, check_forgotten, plan_forget


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "data", ["ann", "bob", "", "cyd"])
    person = tmp_path / "people" / "ada"
    person.mkdir(parents=True)
    (person / "person.json").write_text(json.dumps({"format": "fsh-person-1", "name": "ada"}))
    return tmp_path


def test_a_plan_writes_nothing(place):
    before = sorted(place.rglob("*"))
    planned = fsh.forget("bob", dry_run=True)
    assert not planned.done and planned.to_json()["targets"] == ("bob",)
    assert sorted(place.rglob("*")) == before
    assert not check_forgotten("bob").absent


def test_people_and_videos_go_and_stay_away(place):
    done = fsh.forget(["bob", place / "people" / "ada"], place / "data")
    assert done.done and done.plan.persons == (place / "people" / "ada",)
    assert not (place / "people" / "ada").exists()
    assert check_forgotten("bob").absent and check_forgotten().to_json()["found"] == []
    assert {clip.identity for clip in fsh.open_dataset().clips()}.isdisjoint({"bob"})


def test_what_is_carried_out_again_can_lose_nothing(place):
    plan = plan_forget("bob")
    assert not plan.is_repeated
    carry_out(plan)
    assert plan_forget("bob").is_repeated


def test_targets_must_be_something(place):
    with pytest.raises(fsh.FshError, match="nothing here is called nobody"):
        fsh.forget("nobody")
    with pytest.raises(fsh.FshError, match="name what to forget"):
        fsh.forget([])

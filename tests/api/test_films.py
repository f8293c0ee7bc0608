"""Films from Python: prefetched pictures, names of several films, marks and consent."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_data import SPEC, clip_of
from untrained import untrained

import fsh
from fsh.film_frames import prefetched
from fsh.films import animate_each, requested_films
from fsh.pipeline.inputs.landmark_track import save_track
from fsh.schemas.errors import FshError


def test_prefetched_items_are_the_same_items_and_errors_come_through():
    assert list(prefetched(iter(range(100)), depth=3)) == list(range(100))

    def failing():
        yield 1
        raise FshError("broken")

    items = prefetched(failing())
    assert next(items) == 1
    with pytest.raises(FshError, match="broken"):
        next(items)
    early = prefetched(iter(range(10**9)), depth=2)
    assert next(early) == 0
    early.close()  # leaves no thread that waits


def test_films_are_named_after_person_and_driver():
    a, b, x = Path("people/a"), Path("people/b"), Path("x.mp4")
    assert requested_films([a], [x], Path("o.mp4")) == [(a, x, Path("o.mp4"))]
    films = [film.output for film in requested_films([a, b], [x], Path("o"))]
    assert films == [Path("o/a--x.mp4"), Path("o/b--x.mp4")]
    with pytest.raises(FshError, match="both be written"):
        requested_films([a], [x, Path("other/x.npz")], Path("o"))


@pytest.fixture
def track(tmp_path) -> Path:
    """A driver of 6 frames that needs no detector."""
    motion = clip_of(1, 6)
    save_track(tmp_path / "talk.npz", motion.landmarks, motion.times, SPEC)
    return tmp_path / "talk.npz"


def save_person(folder: Path, consent: object = "not stated") -> Path:
    replace(untrained(), about={"consent": consent, "photos": 1}).save(folder)
    return folder


def test_films_are_marked_unless_said_otherwise_and_the_card_records_that(tmp_path, track):
    folder = save_person(tmp_path / "ada")
    film = fsh.animate(str(folder), track, tmp_path / "me.mp4")
    assert film.marked and film.frames == 6 and fsh.verify(film.output).ok
    plain = fsh.animate(folder, track, tmp_path / "plain.mp4", mark=False)
    assert not plain.marked and fsh.verify(plain.output).c2pa == "absent"
    card = json.loads((folder / "person.json").read_text())
    assert [entry["what"] for entry in card["about"]["unmarked"]] == ["plain.mp4"]


def test_a_consent_statement_must_allow_the_film(tmp_path, track):
    statement = {"who": "Ada", "by": "Ada", "scope": ["personalize"], "until": "2099-01-31"}
    folder = save_person(tmp_path / "ada", statement)
    with pytest.raises(FshError, match="its scope is personalize, not animate"):
        fsh.animate(folder, track, tmp_path / "me.mp4")
    with pytest.raises(FshError, match="its scope is personalize, not animate"):
        fsh.export(folder, tmp_path / "onnx")
    assert not (tmp_path / "me.mp4").exists()


def test_several_films_and_their_settings(tmp_path, track):
    people = [save_person(tmp_path / name) for name in ("ada", "bea")]
    shown: list[dict] = []
    made = animate_each(people, [track], tmp_path / "films", announce=lambda s: shown.append({**s}))
    result = made.to_json()
    assert [Path(film["output"]).name for film in result["films"]] == [
        "ada--talk.mp4",
        "bea--talk.mp4",
    ]
    assert result["frames"] == 12 and result["marked"]
    assert shown[0]["marked"] and shown[0]["consent"] == "not stated"


@pytest.mark.parametrize("fps", [0, -1, float("nan")])
def test_a_rate_out_of_range_is_refused(tmp_path, fps):
    with pytest.raises(FshError, match="fps must be at least 1"):
        fsh.animate(tmp_path / "nobody", "talk.mp4", fps=fps)

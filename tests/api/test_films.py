"""Films from Python: prefetched pictures, names of several films, marks and consent."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faces_helpers import Told
from odd_media import AAC, PICTURE, make
from tiny_data import SPEC, clip_of
from untrained import untrained

import fsh
from fsh.films.animate import FilmOptions, animate_each, requested_films
from fsh.films.frames import Stopwatch, drawn_frames, prefetched
from fsh.films.making import FilmMaker
from fsh.films.options import DriversFailed
from fsh.pipeline.inputs.landmark_track import save_track
from fsh.pipeline.media.containers import film_format
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Silent


class Numbered:
    """Stands for a person: a picture is the number of its face, and later ones are drawn sooner."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at, self.drawn = fails_at, []

    def choose(self, faces):
        return None

    def draw(self, faces, *, batch, chosen):
        number = int(faces[0])
        if self.fails_at is not None and number >= self.fails_at:
            raise FshError("no ink")
        time.sleep(0.02 if number % 4 == 0 else 0.0)
        self.drawn.append(number)
        return np.asarray(faces)


def test_batches_that_are_drawn_side_by_side_come_in_order(monkeypatch):
    monkeypatch.setattr("fsh.films.frames.drawn_at_once", lambda: 3)
    stopwatch, begun = Stopwatch(), time.monotonic()
    film = drawn_frames(Numbered(), np.arange(51), stopwatch, Silent(), batch=2)
    assert list(film) == [*range(51)]
    assert 0.02 < stopwatch.seconds <= time.monotonic() - begun


def test_an_error_in_drawing_comes_where_its_picture_would_have(monkeypatch):
    monkeypatch.setattr("fsh.films.frames.drawn_at_once", lambda: 2)
    person = Numbered(fails_at=20)
    film = drawn_frames(person, np.arange(1000), Stopwatch(), Silent(), batch=2)
    assert [next(film) for _ in range(20)] == [*range(20)]
    with pytest.raises(FshError, match="no ink"):
        next(film)
    assert max(person.drawn) < 20
    early = drawn_frames(person, np.arange(1000), Stopwatch(), Silent(), batch=2)
    assert next(early) == 0
    early.close()
    assert len(person.drawn) < 30  # nothing is drawn that nobody wants


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


@pytest.mark.parametrize("kind", ["mp4", "mov", "mkv", "webm", "gif"])
def test_a_film_of_every_format_is_marked(tmp_path, track, kind):
    folder, output = save_person(tmp_path / "ada"), tmp_path / f"me.{kind}"
    told = Told()
    film = fsh.animate(folder, track, output, progress=told)
    found = fsh.verify(output)
    assert film.marked and found.ok and found.c2pa == "valid", found
    beside = tmp_path / f"me.{kind}.c2pa"
    assert beside.exists() == (kind in ("mkv", "webm"))
    assert any("keep both together" in line for line in told.lines) == beside.exists()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"ada", "talk.npz", output.name} | ({beside.name} & names)


def test_a_film_without_marks_leaves_no_older_manifest_beside_it(tmp_path, track):
    folder, output = save_person(tmp_path / "ada"), tmp_path / "me.webm"
    for mark in (True, False):
        fsh.animate(folder, track, output, mark=mark)
    plain = fsh.verify(output)
    assert plain.c2pa == "absent" and not (tmp_path / "me.webm.c2pa").exists()
    assert "holds no manifest" in plain.says


def test_a_manifest_beside_a_film_is_of_that_film_alone(tmp_path, track):
    folder = save_person(tmp_path / "ada")
    fsh.animate(folder, track, tmp_path / "me.webm")
    content = bytearray((tmp_path / "me.webm").read_bytes())
    content[-9] ^= 1
    (tmp_path / "me.webm").write_bytes(content)
    assert fsh.verify(tmp_path / "me.webm").c2pa == "tampered"
    (tmp_path / "me.webm.c2pa").write_bytes(b"mine")
    assert fsh.verify(tmp_path / "me.webm").c2pa == "tampered"
    with pytest.raises(FshError, match="is no manifest"):
        fsh.animate(folder, track, tmp_path / "me.webm")
    assert (tmp_path / "me.webm.c2pa").read_bytes() == b"mine"
    (tmp_path / "me.webm.c2pa").unlink()
    assert fsh.verify(tmp_path / "me.webm").c2pa == "absent"


def test_frames_as_pictures_are_marked_one_by_one(tmp_path, track):
    folder = save_person(tmp_path / "ada")
    film = fsh.animate(folder, track, tmp_path / "frames", format="png")
    pictures = sorted((tmp_path / "frames").glob("*.png"))
    assert film.frames == len(pictures) == 6 and film.output == str(tmp_path / "frames")
    assert all(fsh.verify(picture).ok for picture in pictures)
    fsh.animate(folder, track, tmp_path / "frames", format="png")  # its own, so replaced
    (tmp_path / "frames" / "mine.txt").write_text("mine")
    with pytest.raises(FshError, match=r"holds mine\.txt"):
        fsh.animate(folder, track, tmp_path / "frames", format="png")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("out", {}, "no film is written under such a name"),
        ("out.avi", {}, r"end it in \.mp4"),
        ("there", {}, "no film is written under such a name"),
        ("there.mp4", {}, "is a folder"),
        ("ada", {"format": "png"}, "is read by this command"),
        ("talk.npz/x.mp4", {}, "is a file"),
        ("x.mp4", {"format": "webm"}, r"does not end in \.webm"),
        ("x.mp4", {"save_landmarks": "x.txt"}, "a track's name"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(tmp_path, name, options, words):
    folder = save_person(tmp_path / "ada")
    (tmp_path / "there").mkdir()
    (tmp_path / "there.mp4").mkdir()
    (tmp_path / "talk.npz").write_bytes(b"not even read")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FshError, match=words) as error:
        fsh.animate(folder, tmp_path / "talk.npz", tmp_path / name, **options)
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_several_films_have_the_format_that_is_asked_for(tmp_path, track):
    people = [save_person(tmp_path / name) for name in ("ada", "bea")]
    made = animate_each(people, [track], tmp_path / "films", options=FilmOptions(format="gif"))
    assert [Path(f.output).name for f in made.films] == ["ada--talk.gif", "bea--talk.gif"]
    made = animate_each(people, [track], tmp_path / "films", options=FilmOptions(format="png"))
    assert [Path(f.output).name for f in made.films] == ["ada--talk", "bea--talk"]
    assert all((Path(f.output) / "000005.png").is_file() for f in made.films)
    with pytest.raises(FshError, match="names one film, and there are several"):
        animate_each(people, [track], tmp_path / "films.mp4")


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


def test_a_driver_that_cannot_be_used_costs_only_its_own_films(tmp_path, track):
    folder, told = save_person(tmp_path / "ada"), Told()
    drivers = [tmp_path / "text.mp4", track, tmp_path / "missing.mp4"]
    drivers[0].write_text("no video")
    with pytest.raises(DriversFailed, match="2 of 3 drivers cannot be used, such as ") as error:
        animate_each(folder, drivers, tmp_path / "films", progress=told)
    result = error.value.made.to_json()
    assert [Path(film["output"]).name for film in result["films"]] == ["ada--talk.mp4"]
    assert [one["driving"] for one in result["failed"]] == [str(drivers[0]), str(drivers[2])]
    assert "not a readable video" in result["failed"][0]["error"]
    assert sum(line.startswith("left out: ") for line in told.lines) == 2
    assert [path.name for path in (tmp_path / "films").iterdir()] == ["ada--talk.mp4"]
    with pytest.raises(FshError, match="not a readable video"):
        fsh.animate(folder, drivers[0], tmp_path / "one.mp4")


@pytest.mark.parametrize(("seconds", "told"), [(1.6, 0), (1.9, 0), (4.0, 1)])
def test_sound_that_outlasts_the_pictures_is_told(tmp_path, seconds, told):
    talk = make(tmp_path / "talk.mp4", f"{PICTURE} -f lavfi -i sine=d={seconds} {AAC}")
    progress = Told()
    maker = FilmMaker(FilmOptions(), SPEC, backend=None, target=None, progress=progress)
    assert maker._sound_of(talk, film_format(tmp_path / "out.mp4")) == talk
    assert len(progress.lines) == told
    assert not told or "its sound goes on for 2.4 s" in progress.lines[0]


@pytest.mark.parametrize("fps", [0, -1, float("nan")])
def test_a_rate_out_of_range_is_refused(tmp_path, fps):
    with pytest.raises(FshError, match="fps must be at least 1"):
        fsh.animate(tmp_path / "nobody", "talk.mp4", fps=fps)

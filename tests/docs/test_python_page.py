"""The code in docs/python.md runs as it is printed."""

from __future__ import annotations

import re
from functools import partial

import av
import pytest
from PIL import Image
from places import ROOT
from tiny_data import SPEC
from tiny_run import Told, tiny_config, tiny_folder
from untrained import untrained
from videos import moving, write_video

from fsh.trainer.person import personalize
from fsh.trainer.person.person import Person
from fsh.trainer.person.step_choice import StepChoiceConfig
from fsh.trainer.training.loop import train

PAGE = ROOT / "docs" / "python.md"
#: Heading to the code below it.
BLOCKS = dict(
    re.findall(r"## ([^\n]+)\n(?:(?!## )[^\n]*\n)*?```python\n(.*?)```", PAGE.read_text(), re.S)
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(heading: str) -> dict:
    """Execute a block; the names it leaves."""
    names: dict = {}
    exec(BLOCKS[heading], names)
    return names


def test_every_block_imports_fsh_alone():
    assert len(BLOCKS) == PAGE.read_text().count("```python")
    for code in BLOCKS.values():
        assert re.findall(r"^(?:import|from) .*", code, re.M) == ["import fsh"]


def test_a_film_and_its_verification(place):
    write_video(place / "talk.mp4", moving(0.4))
    untrained().save(place / "people" / "me")
    film = run("A film")["film"]
    assert film.marked and film.frames == 10
    with av.open(str(place / "me.mp4")) as video:
        assert len(list(video.decode(video=0))) == 10
    assert run("Verifying")["result"].ok


def test_a_person_from_photos(place, monkeypatch):
    quick = partial(personalize.personalize, step_choice=StepChoiceConfig(3, 3))
    monkeypatch.setattr(personalize, "personalize", quick)
    train(tiny_folder(place / "data"), place / "runs" / "nano", tiny_config(steps=2), Told())
    (place / "photos").mkdir()
    for number, picture in enumerate(moving(0.08)):
        Image.fromarray(picture).save(place / "photos" / f"{number}.png")
    names = run("A person from photos")
    assert names["made"].report.photos == 2 and names["pictures"].shape == (2, 32, 32, 3)
    assert Person.load(place / "people" / "you").spec == SPEC


def test_from_videos_to_a_run_and_back(place):
    """Ingest, shard, train, read and evaluate, then forget one of the two people."""
    for name, mirrored in (("ada", False), ("bea", True)):
        write_video(place / f"{name}.mp4", moving(1.6, mirrored=mirrored))
    (place / "urls.csv").write_text("url,identity\nada.mp4,Ada Example\nbea.mp4,bea\n")
    names = run("From videos to a run")
    assert names["sharded"].clips_kept == 2 and names["trained"].steps == 2
    names = run("Reading a data set")
    assert len(names["dataset"]) >= 1 and names["frames"].shape[1:] == (256, 256, 3)
    assert len(names["sources"]) == 2 and names["rejected"] == []
    assert run("Evaluating")["result"].rows
    planned = run("Forgetting")["planned"]
    assert planned.plan.data.clips == 1 and not planned.done

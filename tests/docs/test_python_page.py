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
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_film_in_three_calls(place):
    write_video(place / "talk.mp4", moving(0.4))
    untrained().save(place / "people" / "me")
    exec(BLOCKS[0], {})
    with av.open(str(place / "me.mp4")) as film:
        assert len(list(film.decode(video=0))) == 10


def test_a_person_from_photos(place, monkeypatch):
    quick = partial(personalize.personalize, step_choice=StepChoiceConfig(3, 3))
    monkeypatch.setattr(personalize, "personalize", quick)
    train(tiny_folder(place / "data"), place / "runs" / "nano", tiny_config(steps=2), Told())
    (place / "photos").mkdir()
    for number, picture in enumerate(moving(0.08)):
        Image.fromarray(picture).save(place / "photos" / f"{number}.png")
    names: dict = {}
    exec(BLOCKS[1], names)
    assert names["report"].photos == 2 and names["report"].motion_fidelity
    assert Person.load(place / "people" / "you").spec == SPEC

"""The marks on what is drawn of a person: which card, whose consent, what stays unmarked."""

from __future__ import annotations

import json

import pytest
import torch
from marked import ADA, PORTRAIT
from PIL import Image

from fsh import marking
from fsh.schemas.consent import NOT_STATED
from fsh.schemas.errors import FshError
from fsh.schemas.places.run_layout import PERSON_CARD
from fsh.trainer import checkpoint
from fsh.trainer.person.person import PERSON_FORMAT, record_unmarked
from fsh.verification import verify


@pytest.fixture(autouse=True)
def installation(tmp_path, monkeypatch):
    monkeypatch.setenv("FSH_HOME", str(tmp_path / "home"))


def person(folder, consent=NOT_STATED):
    folder.mkdir()
    (folder / "person.json").write_text('{"name": "ada"}')
    return {"consent": consent, "made_from": {"model": "cd"}}


def test_what_is_drawn_of_a_person_is_marked_with_its_card(tmp_path):
    about = person(tmp_path / "ada", ADA.to_json())
    marks = marking.marking_of(tmp_path / "ada", about, marking.signer_of(None))
    path = tmp_path / "ada" / "preview.png"
    Image.fromarray(PORTRAIT[::6, ::4]).save(path)
    marks.picture(path)
    found = verify(path)
    assert found.ok and found.made_from["model"] == "cd"
    assert found.made_from["person"].startswith(found.watermark.payload)
    assert Image.open(path).size[1] == 256
    assert sorted(p.name for p in path.parent.iterdir()) == ["person.json", "preview.png"]


def test_consent_is_required(tmp_path):
    assert marking.require_consent(tmp_path, {}, "animate") == NOT_STATED
    assert marking.require_consent(tmp_path, {"consent": ADA.to_json()}, "animate") == "Ada, by Ada"
    with pytest.raises(FshError, match="not personalize"):
        marking.require_consent(tmp_path, {"consent": ADA.to_json()}, "personalize")
    statement = tmp_path / "ada.json"
    statement.write_text(json.dumps(ADA.to_json() | {"until": "2020-01-01"}))
    with pytest.raises(FshError, match="it ended on 2020-01-01"):
        marking.consent_entry(statement, "animate")


def test_what_is_not_marked_is_written_into_the_card(tmp_path):
    folder, tensors = tmp_path / "ada", {"p.safetensors": {"a": torch.zeros(2)}}
    spec = {"backend": "dlib", "size": 256, "hash": "99"}
    state = {"name": "ada", "spec": spec, "about": {"photos": 1}}
    checkpoint.write_folder(folder, state, tensors, PERSON_FORMAT, PERSON_CARD)
    record_unmarked(folder, "one.mp4", "2026-11-22")
    record_unmarked(folder, "two.mp4", "2026-11-23")
    card = checkpoint.read_state(folder, PERSON_FORMAT, PERSON_CARD)
    assert card["about"]["photos"] == 1
    assert [entry["what"] for entry in card["about"]["unmarked"]] == ["one.mp4", "two.mp4"]
    checkpoint.read_tensors(folder, card, "p.safetensors")
    assert "`two.mp4` on 2026-11-23" in (folder / "README.md").read_text()


def test_a_weak_or_missing_watermark_key_is_refused(tmp_path):
    (tmp_path / "weak").write_text("short")
    with pytest.raises(FshError, match="16 bytes or more, this has 5"):
        marking.key_of(tmp_path / "weak")
    with pytest.raises(FshError, match="cannot be read"):
        marking.key_of(tmp_path / "none")
    assert marking.key_of(None) is None

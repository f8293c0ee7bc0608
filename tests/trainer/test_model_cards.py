"""Model cards: every fact in them is the checkpoint's or the person's own."""

from __future__ import annotations

import json

from tiny_run import Told, tiny_config, tiny_folder

from fsh.schemas.ids import file_sha256
from fsh.trainer.model_cards import person_card
from fsh.trainer.runs import Run
from fsh.trainer.training.loop import train


def front_of(text: str) -> dict:
    """The front matter: each line is a key and JSON."""
    _, front, _ = text.split("---\n", 2)
    return {
        key: json.loads(value)
        for key, value in (line.split(": ", 1) for line in front.splitlines())
    }


def test_a_run_knows_its_data_set_by_hash(tmp_path):
    data, run = tiny_folder(tmp_path / "data"), tmp_path / "runs" / "tiny"
    train(data, run, tiny_config(steps=2), Told())
    first = file_sha256(data.card)
    made_from = Run.read(run).made_from
    assert made_from["dataset"] == first
    text = (run / "README.md").read_text()
    front = front_of(text)
    assert front["dataset_sha256"] == [first] and front["model_sha256"] == made_from["model"]
    for said in ("## Biometric data", "300-W", "lr_generator", first):
        assert said in text

    data.card.write_text(data.card.read_text().replace('"videos": 3', '"videos": 4'))
    train(data, run, tiny_config(steps=3), Told())
    assert front_of((run / "README.md").read_text())["dataset_sha256"] == [
        first,
        file_sha256(data.card),
    ]


def test_a_persons_card_says_consent_and_marks():
    card = {
        "name": "ada",
        "files": {"generator.safetensors": "12ab"},
        "spec": {"backend": "dlib", "size": 256, "hash": "99"},
        "about": {
            "photos": 3,
            "steps": 7,
            "run": "nano",
            "run_step": 5,
            "made_from": {"model": "aa", "dataset": "bb"},
            "consent": {
                "who": "Ada | Example",
                "by": "Ada",
                "scope": ["any"],
                "until": "2030-01-01",
            },
            "unmarked": [{"what": "film.mp4", "on": "2026-11-22"}],
        },
    }
    text = person_card(card)
    assert "Ada \\| Example" in text and "`film.mp4` on 2026-11-22" in text
    assert front_of(text)["dataset_sha256"] == "bb"
    card["about"] |= {"consent": "not stated", "unmarked": []}
    assert "not stated" in person_card(card) and "carries a C2PA" in person_card(card)

"""Values out of range are refused in one line, before anything is read."""

from __future__ import annotations

import pytest

import fsh
from fsh.pipeline.engine.runner import Engine


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames must be at least 1, not 0"),
        ({"held": 0}, "held must be at least 1, not 0"),
        ({"identities": 0}, "identities must be at least 1, not 0"),
        ({"shots": [0]}, "shots must be numbers of photos from 1 up, not 0"),
        ({"shots": []}, "shots must be numbers of photos from 1 up, not none"),
        ({"steps": -1}, "not a number of steps: -1"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
    ],
)
def test_evaluate(options, message):
    with pytest.raises(fsh.FshError, match=message):
        fsh.evaluate("no-data", "no-run", **options)


@pytest.mark.parametrize("options", [{"steps": -1}, {"face": -2}])
def test_personalize(options):
    with pytest.raises(fsh.FshError, match=f"{next(iter(options))} must be at least 0, not -"):
        fsh.personalize("no-photos", "nobody", run="no-run", **options)


def test_train():
    with pytest.raises(fsh.FshError, match="unknown device 'tpu' → use one of cpu, cuda, auto"):
        fsh.train("no-data", "no-run", device="tpu")


def test_mode_of_a_local_run():
    with pytest.raises(fsh.FshError, match="no mode 'x' → use in_memory, multi_threading"):
        Engine(mode="x")


def test_answers():
    with pytest.raises(fsh.FshError, match="no answers to score"):
        fsh.score_answers([])

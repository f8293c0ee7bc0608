"""Presets, overrides, printing."""

import json
from dataclasses import replace

import pytest

from fsh.schemas.errors import FshError
from fsh.trainer.config import NetworkConfig, TrainConfig
from fsh.trainer.presets import LOSSES, PRESETS, REFERENCE_LOSS, resolve

REFERRED = replace(LOSSES["paper-v2"], **REFERENCE_LOSS)


def test_auto_on_a_cpu_is_nano_with_a_time_budget():
    config = resolve("auto", "cpu")
    assert config.preset == "nano" and config.steps is None and config.minutes
    assert resolve("auto", "cpu", steps=7).minutes is None


def test_paper_preset_is_the_paper():
    config = resolve("paper", "cpu")
    assert config.network == NetworkConfig() and config.frames == 8
    assert (config.lr_generator, config.lr_discriminator) == (5e-5, 2e-4)
    assert config.epochs == 75 and resolve("paper", "cpu", variant="ff").epochs == 150
    assert not resolve("paper", "cpu", attention=False).network.attention


def test_small_on_a_cpu_is_what_a_cpu_can_train():
    config = resolve("small", "cpu")
    assert config.network == replace(
        PRESETS["small"]["network"], attention=False, references=3, picture=256
    )
    assert config.minutes and config.frames == 3 and config.loss.pixel > 0
    assert config.perceptual == "dlib" and config.loss.face > 0
    asked = resolve("small", "cpu", perceptual="vgg", attention=True, steps=5)
    assert asked.network.attention and asked.loss == REFERRED and not asked.minutes
    plain = resolve("small", "cpu", reference=False)
    assert plain.network == replace(PRESETS["small"]["network"], attention=False)
    assert plain.frames == 2 and plain.loss.edges and not plain.loss.flow


def test_references_are_the_default_where_a_cpu_trains_and_for_all_on_request():
    assert resolve("nano", "cpu").network.references == 3
    assert resolve("paper", "cpu") == resolve("paper", "cpu", reference=False)
    paper = resolve("paper", "cpu", reference=True)
    assert paper.network == replace(NetworkConfig(), references=3, picture=256)
    assert paper.frames == 8 and paper.loss == REFERRED
    other = resolve("nano", "cpu", method="x2face")
    assert not other.network.references and other.frames == 2


def test_content_always_has_a_network_that_weighs_something():
    brief = {"preset": "nano", "device": "cpu"}
    assert resolve(**brief, perceptual="random").loss.vgg19 > 0
    named = resolve(**brief, loss="paper-v1")
    assert named.perceptual == "random"
    assert named.loss == replace(LOSSES["paper-v1"], **REFERENCE_LOSS)
    assert resolve(**brief, loss="paper-v1", reference=False).loss == LOSSES["paper-v1"]
    assert resolve("paper", "cpu").perceptual == "vgg"
    large = resolve("paper", "cpu", perceptual="dlib")
    assert large.loss.face > 0 and large.loss.pixel > 0


@pytest.mark.parametrize("preset", PRESETS)
def test_round_trip(preset):
    config = resolve(preset, "cpu")
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert ("network.size", str(config.network.size)) in config.table()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"preset": "huge"}, "huge"),
        ({"loss": "l2"}, "l2"),
        ({"variant": "x"}, "variant"),
        ({"stepz": 3}, "stepz"),
        ({"perceptual": "clip"}, "clip"),
        ({"batch": 0}, "batch"),
        ({"perceptual": "dlib", "loss": "paper-v1"}, "leave out one"),
    ],
)
def test_mistakes_are_named(options, word):
    with pytest.raises(FshError, match=word):
        resolve(**{"preset": "nano", "device": "cpu", **options})


def test_foreign_configuration_is_refused():
    with pytest.raises(FshError, match="configuration"):
        TrainConfig.from_json({"preset": "nano"})
    data = resolve("nano", "cpu").to_json()
    with pytest.raises(FshError, match="configuration"):
        TrainConfig.from_json({**data, "color": 1})


def test_what_a_resumed_run_must_share():
    config = resolve("nano", "cpu").resume_fields()
    assert "network.size" in config and "seed" in config
    assert not {"steps", "device", "keep"} & set(config)
